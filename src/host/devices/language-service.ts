// Runs language models for the editor: each in a process of its own, at background priority.
import { join } from 'node:path';
import { ChatProcess } from '../../llm/chat-process';
import { ModelProcess } from '../../llm/process';
import { type LanguageServices } from '../../work/services';
import { type Log } from '../common/surface';
import { type EngineService } from './engine-service';

export class LanguageService {
  private readonly folder: string;

  constructor(
    extensionPath: string,
    private readonly engine: EngineService,
    private readonly log: Log,
  ) {
    this.folder = join(extensionPath, 'dist');
  }

  readonly chat: LanguageServices['language']['chat'] = (source, signal) =>
    ChatProcess.start(this.options('chat-child.js'), source, signal);

  readonly start: LanguageServices['language']['start'] = async (task, { provider }, signal) => {
    // The model needs the memory, unless another adapter is being measured.
    this.engine.rest();
    const { environment } = await this.engine.devices.process(provider);
    return ModelProcess.start({ ...this.options('model-child.js'), environment }, task, signal);
  };

  private options(program: string): { childPath: string; background: true; onWait: (text: string) => void } {
    return {
      childPath: join(this.folder, program),
      background: true,
      onWait: (text) => {
        this.log.info(text);
      },
    };
  }
}
