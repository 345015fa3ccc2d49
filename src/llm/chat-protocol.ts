// Messages between the host and the process that tokenizes conversations.
import { type Message } from '../core/conversation';
import { type Failed } from '../engine/question-process';
import { type ChatSource } from './chat-files';

export interface Conversation {
  messages: readonly Message[];
  /** The answer to compare with the model's. */
  reference: string | null;
}

export interface EncodedConversation {
  /** Up to the start of the model's answer. */
  tokens: number[];
  /** Of the reference unchanged; empty if there is none. */
  reference: number[];
}

export type ToChat =
  | { type: 'open'; source: ChatSource }
  | { type: 'encode'; conversations: readonly Conversation[] }
  | { type: 'decode'; answers: readonly (readonly number[])[] };

/** The current step, which is the cause if it never finishes. */
export interface Begun {
  type: 'begun';
  what: 'template' | 'tokenizer';
  /** The number of the conversation or answer in the question. */
  index: number;
}

export type ChatAnswer =
  | { type: 'opened'; stopTokens: readonly number[]; sha256: string }
  | { type: 'encoded'; conversations: EncodedConversation[] }
  | { type: 'decoded'; texts: string[] };

export type FromChat = Begun | ChatAnswer | Failed;
