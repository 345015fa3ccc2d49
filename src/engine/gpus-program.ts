// Tells the process that forked it which GPUs there are.
import { listGpus } from './gpus';

void listGpus().then((gpus) => {
  process.send?.(gpus, () => {
    process.disconnect();
  });
});
