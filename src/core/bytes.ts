import { localised } from './text';

/** Formats bytes in a fitting unit, decimal as disks and hubs count. */
export function bytesText(count: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), units.length - 1);
  return `${power === 0 ? count : localised((count / 1000 ** power).toFixed(1))} ${units[power]!}`;
}
