// What a failure says, for places that have room for one sentence.

/** A message names its file first, then what is wrong, then what to do next. */
const SOURCE = /^(?:\/|~|[A-Za-z]:[\\/]|\\\\|hf:\/\/).*?: /;

/** "/adapters/dora/adapter_config.json: use_dora is set; use a LoRA." → "use_dora is set" */
export function reasonOf(message: string): string {
  const [reason] = message.replace(SOURCE, '').split(/; |\. (?=\p{Lu})/u);
  return reason!.replace(/\.$/, '');
}
