// The messages of a chat.

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}
