import { filesOf } from './parts.mjs';

for (const file of filesOf(1)) await import(file);
