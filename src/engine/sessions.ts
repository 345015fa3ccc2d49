// onnxruntime's sessions of one process, each made when it is first needed and kept: shapes are dynamic.
import type { InferenceSession } from 'onnxruntime-node';
import { type FloatDtype } from '../core/dtype';
import { addOverRowsGraph, alongRowsGraph, differenceGraph, gramGraph } from './graphs';

export class Sessions {
  private readonly made = new Map<string, Promise<InferenceSession>>();

  constructor(private readonly factory: typeof InferenceSession) {}

  difference(base: FloatDtype, aligned: FloatDtype): Promise<InferenceSession> {
    return this.get(`difference ${base} ${aligned}`, () => differenceGraph(base, aligned));
  }

  addOverRows(): Promise<InferenceSession> {
    return this.get('add over rows', addOverRowsGraph);
  }

  alongRows(): Promise<InferenceSession> {
    return this.get('along rows', alongRowsGraph);
  }

  gram(type: 'float' | 'double'): Promise<InferenceSession> {
    return this.get(`gram ${type}`, () => gramGraph(type));
  }

  private get(id: string, graph: () => Uint8Array): Promise<InferenceSession> {
    let session = this.made.get(id);
    if (!session) {
      session = this.factory.create(graph(), {
        executionProviders: ['cpu'],
        // One thread a child: several children use the cores better, and sums come out in the same order everywhere.
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        enableMemPattern: false,
        logSeverityLevel: 3,
      });
      this.made.set(id, session);
    }
    return session;
  }
}
