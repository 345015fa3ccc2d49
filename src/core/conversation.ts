// What is said to a chat model.

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}
