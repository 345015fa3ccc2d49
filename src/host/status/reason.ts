// A failure's reason, for places with room for one sentence.

/** A message names its file first, then the problem, then the next step. */
const SOURCE = /^(?:\/|~|[A-Za-z]:[\\/]|\\\\|hf:\/\/).*?: /;

/** "/adapters/dora/adapter_config.json: use_dora is set; use a LoRA." → "use_dora is set" */
export function reasonOf(message: string): string {
  const [reason] = message.replace(SOURCE, '').split(/; |\. (?=\p{Lu})/u);
  return reason!.replace(/\.$/, '');
}
