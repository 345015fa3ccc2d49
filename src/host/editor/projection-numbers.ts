// The numbers of what is applied: measured after an edit of this session, and for a saved projection when somebody asks.
import * as vscode from 'vscode';
import { type Projection } from '../../core/patch';
import { measureProjection, type ProjectionNumbers as Numbers } from '../../work/measure-projection';
import { type Agree, type Services } from '../../work/services';
import { Disposable } from '../common/dispose';
import { Cancelled } from '../common/errors';
import { type Log } from '../common/surface';
import { setting } from '../settings/settings';
import { type MeasuringRun } from './measuring-run';

export class ProjectionNumbers extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** There are numbers now, or none any more. */
  readonly onDidChange = this.changed.event;
  private readonly known = new WeakMap<Projection, Numbers>();
  private running: { projection: Projection; abort: AbortController; done: Promise<void> } | null = null;

  constructor(
    private readonly measuring: MeasuringRun,
    private readonly services: Services,
    private readonly scope: vscode.Uri,
    /** Keeps weights from travelling that nobody was asked about. */
    private readonly refuse: Agree,
    private readonly log: Log,
  ) {
    super();
  }

  /** Null where they were not measured. */
  of(projection: Projection | null): Numbers | null {
    return projection && (this.known.get(projection) ?? null);
  }

  /** Another projection is applied. Where its numbers cannot be had without asking, they wait until somebody asks. */
  follow(projection: Projection | null): void {
    if (this.running?.projection !== projection) this.running?.abort.abort(new Cancelled());
    this.changed.fire();
    if (projection === null || !this.measuring.measured || this.of(projection)) return;
    this.measure(projection, this.refuse).catch((error: unknown) => {
      if (!(error instanceof Cancelled)) this.log.debug(`The projection is not measured: ${(error as Error).message}`);
    });
  }

  /** @throws SafeLoraError; Cancelled where another projection was applied meanwhile */
  measure(projection: Projection, agree: Agree): Promise<void> {
    if (this.of(projection)) return Promise.resolve();
    if (this.running?.projection === projection) return this.running.done;
    const abort = new AbortController();
    const done = this.run(projection, agree, abort.signal).finally(() => {
      if (this.running?.abort === abort) this.running = null;
    });
    this.running = { projection, abort, done };
    return done;
  }

  override dispose(): void {
    this.running?.abort.abort(new Cancelled());
    super.dispose();
  }

  private async run(projection: Projection, agree: Agree, signal: AbortSignal): Promise<void> {
    const { plan, modules } = this.measuring.complete;
    const device = setting('device', this.scope);
    const ports = { agree, signal };
    const numbers = await measureProjection(plan, modules, projection.tensors, device, this.services, ports);
    signal.throwIfAborted();
    this.known.set(projection, numbers);
    this.changed.fire();
  }
}
