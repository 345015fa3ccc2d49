// The numbers of a module by name, in the order in which they are written and sent. `Measurement` defines each.
export const measureNames = [
  'similarity',
  'nullSimilarity',
  'nullSpread',
  'direction',
  'gain',
  'alignmentNorm',
  'updateNorm',
  'participationRatio',
] as const;
export type MeasureName = (typeof measureNames)[number];

export type Measures = Readonly<Record<MeasureName, number | null>>;

/** For a module that was not measured. */
export const unmeasured = Object.fromEntries(measureNames.map((name) => [name, null])) as unknown as Measures;
