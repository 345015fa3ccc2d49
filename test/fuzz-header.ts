// Many mutated headers through the reader: npm run fuzz -- [COUNT [SEED]]
import { HeaderFuzzer, type Verdict } from './fixtures/header-mutations';

const count = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
const fuzzer = new HeaderFuzzer(seed);
const verdicts: Record<Verdict, number> = { accepted: 0, refused: 0 };
const started = performance.now();
for (let i = 0; i < count; i++) verdicts[fuzzer.next()]++;
const seconds = (performance.now() - started) / 1000;
console.log(
  `seed ${seed}: ${count} headers in ${seconds.toFixed(1)} s, ${verdicts.accepted} read as JSON.parse reads them, ${verdicts.refused} refused cleanly`,
);
