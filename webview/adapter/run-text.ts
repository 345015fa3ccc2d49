// Texts of a run's state.
import { bytesText } from '../../src/core/bytes';
import { type RunView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { format } from '../shared/ui';

/** The text of a run's state, if it needs one. */
export function runText(run: RunView, states: PageStrings['states']): string | null {
  switch (run.state) {
    case 'no-models':
      return states.noModels;
    case 'idle':
      return states.idle;
    case 'running':
      return [
        run.bytesTotal > 0
          ? format(
              states.running,
              run.modulesDone,
              run.modulesTotal,
              bytesText(run.bytesDone),
              bytesText(run.bytesTotal),
            )
          : format(states.runningBare, run.modulesDone, run.modulesTotal),
        ...(run.fetched && run.fetched.bytesToFetch > 0
          ? [format(states.fetching, bytesText(run.fetched.bytesFetched), bytesText(run.fetched.bytesToFetch))]
          : []),
      ].join(' · ');
    case 'cancelled':
      return run.modulesDone > 0 ? format(states.cancelled, run.modulesDone, run.modulesTotal) : states.cancelledEarly;
    case 'failed':
    case 'done':
      return null;
  }
}
