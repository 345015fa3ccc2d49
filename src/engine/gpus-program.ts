// Sends the list of GPUs to the process that forked it.
import { listGpus } from './gpus';

void listGpus().then((gpus) => {
  process.send?.(gpus, () => {
    process.disconnect();
  });
});
