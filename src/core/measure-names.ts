// The numbers of a module by name, in the order in which they are written and sent. `Measurement` says what each is.
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

/** Of a module that was not measured. */
export const unmeasured: Measures = {
  similarity: null,
  nullSimilarity: null,
  nullSpread: null,
  direction: null,
  gain: null,
  alignmentNorm: null,
  updateNorm: null,
  participationRatio: null,
};
