import { filesOf } from './parts.mjs';

for (const file of filesOf(2)) await import(file);
