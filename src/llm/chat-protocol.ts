// Every message between the host and the process that turns conversations into tokens.
import { type Message } from '../core/conversation';
import { type Failed } from '../engine/question-process';
import { type ChatSource } from './chat-files';

export interface Conversation {
  messages: readonly Message[];
  /** The answer that is held against the model's. */
  reference: string | null;
}

export interface EncodedConversation {
  /** Up to where the model's answer begins. */
  tokens: number[];
  /** Of the reference as it is; empty where there is none. */
  reference: number[];
}

export type ToChat =
  | { type: 'open'; source: ChatSource }
  | { type: 'encode'; conversations: readonly Conversation[] }
  | { type: 'decode'; answers: readonly (readonly number[])[] };

/** What runs now, which is to blame where it never ends. */
export interface Begun {
  type: 'begun';
  what: 'template' | 'tokenizer';
  /** Of the conversation or the answer within the question. */
  index: number;
}

export type ChatAnswer =
  | { type: 'opened'; stopTokens: readonly number[]; sha256: string }
  | { type: 'encoded'; conversations: EncodedConversation[] }
  | { type: 'decoded'; texts: string[] };

export type FromChat = Begun | ChatAnswer | Failed;
