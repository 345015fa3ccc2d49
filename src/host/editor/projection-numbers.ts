// The numbers of the applied projection: measured after an edit in this session, and for a saved projection on request.
import * as vscode from 'vscode';
import { type Projection } from '../../core/patch';
import { measureProjection, type ProjectionNumbers as Numbers } from '../../work/measure-projection';
import { type Agree, type Services } from '../../work/services';
import { Disposable } from '../common/dispose';
import { Cancelled } from '../common/errors';
import { type Log } from '../common/surface';
import { setting } from '../settings/settings';
import { type MeasuringRun } from './measuring-run';

interface Running {
  projection: Projection;
  abort: AbortController;
  done: Promise<void>;
}

export class ProjectionNumbers extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** The numbers arrived, were dropped, or are being measured. */
  readonly onDidChange = this.changed.event;
  private known = new WeakMap<Projection, Numbers>();
  private running: Running | null = null;

  constructor(
    private readonly measuring: MeasuringRun,
    private readonly services: Services,
    private readonly scope: vscode.Uri,
    /** Prevents downloads without consent. */
    private readonly refuse: Agree,
    private readonly log: Log,
  ) {
    super();
    // Other models or weights give other numbers.
    this._register(measuring.onDidReplace(() => this.forget()));
  }

  /** Null if not measured. */
  of(projection: Projection | null): Numbers | null {
    return projection && (this.known.get(projection) ?? null);
  }

  isMeasuring(projection: Projection | null): boolean {
    return projection !== null && this.running?.projection === projection;
  }

  /** Another projection was applied. If measuring it needs a question, it waits for a request. */
  follow(projection: Projection | null): void {
    if (!this.isMeasuring(projection)) this.stop();
    this.changed.fire();
    if (projection === null || !this.measuring.measured || this.of(projection)) return;
    this.start(projection, this.refuse).catch((error: unknown) => {
      if (!(error instanceof Cancelled)) this.log.debug(`The projection is not measured: ${(error as Error).message}`);
    });
  }

  /** @throws SafeLoraError; Cancelled if another projection was applied meanwhile */
  async measure(projection: Projection, agree: Agree): Promise<void> {
    // A run that may not ask can fail where this one does not.
    if (this.isMeasuring(projection)) await this.running!.done.catch(() => undefined);
    if (!this.of(projection)) await this.start(projection, agree);
  }

  override dispose(): void {
    this.stop();
    super.dispose();
  }

  private start(projection: Projection, agree: Agree): Promise<void> {
    if (this.isMeasuring(projection)) return this.running!.done;
    this.stop();
    const abort = new AbortController();
    const done = this.run(projection, agree, abort.signal).finally(() => {
      if (this.running?.abort === abort) this.running = null;
      if (!this.isDisposed) this.changed.fire();
    });
    this.running = { projection, abort, done };
    this.changed.fire();
    return done;
  }

  private async run(projection: Projection, agree: Agree, signal: AbortSignal): Promise<void> {
    const { plan, modules } = this.measuring.complete;
    const device = setting('device', this.scope);
    const ports = { agree, signal };
    const numbers = await measureProjection(plan, modules, projection.tensors, device, this.services, ports);
    signal.throwIfAborted();
    this.known.set(projection, numbers);
  }

  private forget(): void {
    this.stop();
    this.known = new WeakMap();
    this.changed.fire();
  }

  private stop(): void {
    this.running?.abort.abort(new Cancelled());
    this.running = null;
  }
}
