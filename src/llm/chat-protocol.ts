// Every message between the host and the process that turns conversations into tokens.
import { type Message } from '../core/conversation';
import { type Failure } from '../engine/protocol';
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

/** What runs now: what does not end is known by it. */
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

export type FromChat = Begun | ChatAnswer | { type: 'failed'; error: Failure };
