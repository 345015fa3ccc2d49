// A failure as a page shows it.
import { type ErrorCode } from '../core/errors';

export interface ErrorView {
  code: ErrorCode;
  message: string;
}
