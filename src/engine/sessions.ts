// One process's onnxruntime sessions, created on first use and reused: shapes are dynamic.
import type { InferenceSession } from 'onnxruntime-node';
import { gramGraph, productGraph, type Source, type Step, stepGraph } from './graphs';
import { type Provider, strictSession } from './providers';

export class Sessions {
  private readonly made = new Map<string, Promise<InferenceSession>>();

  constructor(
    private readonly factory: typeof InferenceSession,
    private readonly provider: Provider,
  ) {}

  /** A step on the provider. */
  step(source: Source, step: Step): Promise<InferenceSession> {
    const { provider } = this;
    return this.get([source, step], () => stepGraph(provider, source, step), provider);
  }

  /** A product with a V in the process's memory. */
  product(step: 'over' | 'along'): Promise<InferenceSession> {
    return this.get(['product', step], () => productGraph(step), 'cpu');
  }

  /** Always on the CPU: r × r in double. */
  gram(type: 'float' | 'double'): Promise<InferenceSession> {
    return this.get(['gram', type], () => gramGraph(type), 'cpu');
  }

  /** Ends all sessions, which frees the device's memory. */
  async release(): Promise<void> {
    const sessions = await Promise.allSettled(this.made.values());
    this.made.clear();
    for (const session of sessions) if (session.status === 'fulfilled') await session.value.release();
  }

  private get(id: unknown, graph: () => Uint8Array, provider: Provider): Promise<InferenceSession> {
    const key = JSON.stringify(id);
    let session = this.made.get(key);
    if (!session) {
      session = this.factory.create(graph(), {
        executionProviders: [provider],
        // One thread per child: several children use the cores better, and sums have the same order everywhere.
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        enableMemPattern: false,
        logSeverityLevel: 3,
        extra: { session: strictSession(provider) },
      });
      this.made.set(key, session);
    }
    return session;
  }
}
