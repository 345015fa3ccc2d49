// The floating-point dtypes of safetensors weights: exact decoding to double, and rounding to nearest even on the way back.

/** Bits per element of every dtype that the format names (safetensors, `Dtype` in tensor.rs). */
export const dtypeBits: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8], ['U8', 8], ['I8', 8],
  ['F8_E5M2', 8], ['F8_E4M3', 8], ['F8_E8M0', 8], ['F8_E4M3FNUZ', 8], ['F8_E5M2FNUZ', 8],
  ['F4', 4], ['F6_E2M3', 6], ['F6_E3M2', 6],
  ['I16', 16], ['U16', 16], ['F16', 16], ['BF16', 16],
  ['I32', 32], ['U32', 32], ['F32', 32],
  ['I64', 64], ['U64', 64], ['F64', 64], ['C64', 64],
]); // prettier-ignore

export const floatDtypes = ['F64', 'F32', 'F16', 'BF16'] as const;
export type FloatDtype = (typeof floatDtypes)[number];

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return (floatDtypes as readonly string[]).includes(dtype);
}

export function bytesPerElement(dtype: FloatDtype): number {
  return dtypeBits.get(dtype)! / 8;
}

const scratch = new DataView(new ArrayBuffer(8));

function float32FromBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

function bitsFromFloat32(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

// F16 has 5 exponent bits with bias 15, F32 8 with bias 127: shifted into F32's fields, a finite F16 reads 2^112 too small.
const F16_REBIAS = 2 ** 112;

function f16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return magnitude === 0x7c00 ? sign * Infinity : NaN;
  return sign * float32FromBits(magnitude << 13) * F16_REBIAS;
}

/**
 * Decodes safetensors bytes exactly. They are little-endian, as is every platform of onnxruntime-node.
 * @returns one double per element, in storage order
 */
export function decode(bytes: Uint8Array, dtype: FloatDtype): Float64Array {
  // Copied, since a view of wider elements must start at a multiple of their size.
  const { buffer } = new Uint8Array(bytes);
  switch (dtype) {
    case 'F64':
      return new Float64Array(buffer);
    case 'F32':
      return new Float64Array(new Float32Array(buffer));
    case 'F16':
      return new Float64Array(new Uint16Array(buffer)).map(f16ToNumber);
    case 'BF16': {
      // A BF16 is the upper half of an F32.
      const wide = new Uint32Array(new Uint16Array(buffer));
      for (let i = 0; i < wide.length; i++) wide[i]! <<= 16;
      return new Float64Array(new Float32Array(wide.buffer));
    }
  }
}

// Significand bits (without the implied one) and the exponent of the smallest normal number.
const formats = { F16: [10, -14], BF16: [7, -126] } as const;

/** The nearest value of the dtype, ties to even, in one rounding from double; overflow gives an infinity (IEEE 754 §4.3.1). */
export function roundTo(value: number, dtype: 'F16' | 'BF16'): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const [significandBits, minExponent] = formats[dtype];
  scratch.setFloat64(0, value);
  const exponent = ((scratch.getUint16(0) >> 4) & 0x7ff) - 1023;
  const quantum = 2 ** (Math.max(exponent, minExponent) - significandBits);
  const steps = Math.abs(value) / quantum;
  const floor = Math.floor(steps);
  const up = steps - floor > 0.5 || (steps - floor === 0.5 && floor % 2 === 1);
  const rounded = (up ? floor + 1 : floor) * quantum;
  const largest = dtype === 'F16' ? 65504 : float32FromBits(0x7f7f0000);
  return Math.sign(value) * (rounded > largest ? Infinity : rounded);
}

/**
 * Encodes doubles as safetensors bytes, rounding to nearest even.
 * @returns the bytes; an element beyond the dtype's range is stored as an infinity, for the caller to refuse
 */
export function encode(values: Float64Array, dtype: FloatDtype): Uint8Array {
  const stored = { F64: Float64Array, F32: Float32Array, F16: Uint16Array, BF16: Uint16Array }[dtype];
  const elements = new stored(values.length);
  if (dtype === 'F64' || dtype === 'F32') elements.set(values);
  else for (let i = 0; i < values.length; i++) elements[i] = bitsOf(roundTo(values[i]!, dtype), dtype);
  return new Uint8Array(elements.buffer);
}

/** @param rounded a value of the dtype */
function bitsOf(rounded: number, dtype: 'F16' | 'BF16'): number {
  if (dtype === 'BF16') return bitsFromFloat32(rounded) >>> 16;
  const sign = rounded < 0 || Object.is(rounded, -0) ? 0x8000 : 0;
  return sign | (Number.isFinite(rounded) ? bitsFromFloat32(Math.abs(rounded) / F16_REBIAS) >>> 13 : 0x7c00);
}
