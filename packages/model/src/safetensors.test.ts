import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { MaskSearchError } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { fromBfloat16, fromFloat16, narrow, toBfloat16, toFloat16, widen } from './float16.ts';
import { formatSafetensors, parseSafetensors, readSafetensors } from './safetensors.ts';

const tensors = [
  { name: 'b', shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 1e-30, NaN, -Infinity) },
  { name: 'a', shape: [], data: Float32Array.of(7) },
  { name: 'empty', shape: [0, 4], data: new Float32Array(0) },
];

/** A file with this header text and so many zero bytes of data. */
function fileOf(header: string, dataBytes = 0, length = Buffer.byteLength(header)): Uint8Array {
  const bytes = Buffer.alloc(8 + Buffer.byteLength(header) + dataBytes);
  bytes.writeBigUInt64LE(BigInt(length), 0);
  bytes.write(header, 8);
  return bytes;
}

describe('safetensors', () => {
  test('round-trips float32 bit for bit, sorted by name', () => {
    const parsed = parseSafetensors(formatSafetensors(tensors), 'file');
    expect(parsed.map(({ name }) => name).sort()).toEqual(['a', 'b', 'empty']);
    for (const tensor of tensors) {
      expect(parsed.find(({ name }) => name === tensor.name)).toEqual(tensor);
    }
  });

  test('gives equal bytes for equal tensors in any order', () => {
    expect(formatSafetensors([...tensors].reverse())).toEqual(formatSafetensors(tensors));
  });

  test('reads a file as it reads bytes', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'safetensors-')), 'x.safetensors');
    const bytes = formatSafetensors(tensors, { dtype: 'BF16' });
    writeFileSync(path, bytes);
    expect(readSafetensors(path)).toEqual(parseSafetensors(bytes, path));
    expect(() => readSafetensors(`${path}.absent`)).toThrow('expected a safetensors file');
    writeFileSync(path, bytes.subarray(0, bytes.length - 1));
    expect(() => readSafetensors(path)).toThrow('within 0..');
  });

  test('rounds to bfloat16 to nearest, ties to even', () => {
    const cases: [number, number][] = [
      [1, 1],
      [1 + 2 ** -8, 1], // tie, even below
      [1 + 3 * 2 ** -8, 1 + 2 ** -6], // tie, even above
      [1 + 2 ** -8 + 2 ** -20, 1 + 2 ** -7],
      [-0, -0],
      [Infinity, Infinity],
      [3.4e38, Infinity],
    ];
    for (const [value, expected] of cases) expect(fromBfloat16(toBfloat16(value))).toBe(expected);
    expect(fromBfloat16(toBfloat16(NaN))).toBeNaN();
  });

  test('widens float16: normal, subnormal, infinite', () => {
    expect([0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00].map(fromFloat16)).toEqual([
      1,
      -2,
      65504,
      2 ** -24,
      -0,
      Infinity,
    ]);
    expect(fromFloat16(0x7e00)).toBeNaN();
  });

  test('every float16 survives widening and rounding, and values between two go to the nearer', () => {
    for (let half = 0; half < 65_536; half++) {
      const value = fromFloat16(half);
      if (Number.isNaN(value)) expect(toFloat16(value) & 0x7c00).toBe(0x7c00);
      else expect(toFloat16(value)).toBe(half);
      if (half % 0x8000 >= 0x7bff) continue; // no finite neighbour above
      const [below, above] = [Math.abs(value), Math.abs(fromFloat16(half + 1))];
      const middle = (below + above) / 2;
      const sign = half & 0x8000 ? -1 : 1;
      expect(toFloat16(sign * middle)).toBe(half % 2 === 0 ? half : half + 1);
      expect(toFloat16(sign * (middle - (above - below) / 64))).toBe(half);
      expect(toFloat16(sign * (middle + (above - below) / 64))).toBe(half + 1);
    }
    expect([65519.99, 65520, -1e9, 1e-9].map(toFloat16)).toEqual([0x7bff, 0x7c00, 0xfc00, 0]);
  });

  test('in bulk as one by one', () => {
    const values = Float32Array.of(1, -2.5, 1e-30, 7e4, -1e-6, Infinity, -0, 3.14159, 1 + 2 ** -8);
    for (const [dtype, to, from] of [
      ['F16', toFloat16, fromFloat16],
      ['BF16', toBfloat16, fromBfloat16],
    ] as const) {
      const bytes = narrow(dtype, values);
      expect([...new Uint16Array(bytes.buffer)]).toEqual([...values].map(to));
      expect([...widen(dtype, bytes)]).toEqual([...values].map((value) => from(to(value))));
    }
    expect(narrow('BF16', Float32Array.of(NaN))).toEqual(Uint8Array.of(0xc0, 0x7f));
  });

  test.each<[string, Uint8Array, string]>([
    ['an empty file', new Uint8Array(0), 'at least 8 bytes'],
    ['a length beyond the file', fileOf('{}', 0, 3), 'header of at most'],
    ['a length of 2^63', fileOf('{}', 0, Number.MAX_SAFE_INTEGER), 'header of at most'],
    ['a header that is not JSON', fileOf('{]'), 'expected a JSON header'],
    ['a header that is an array', fileOf('[]'), 'JSON object'],
    ['metadata that is not strings', fileOf('{"__metadata__":{"a":1}}'), '__metadata__'],
    [
      'an unknown dtype',
      fileOf('{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', 8),
      'F32, F16 or BF16',
    ],
    [
      'a dtype from the prototype',
      fileOf('{"a":{"dtype":"toString","shape":[],"data_offsets":[0,0]}}'),
      'F32, F16 or BF16',
    ],
    [
      'a negative size',
      fileOf('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4),
      'array of sizes',
    ],
    [
      'a huge shape',
      fileOf('{"a":{"dtype":"F32","shape":[9e15,9e15],"data_offsets":[0,4]}}', 4),
      'bytes for a',
    ],
    [
      'reversed offsets',
      fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4),
      'within 0..4',
    ],
    [
      'offsets beyond the data',
      fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 4),
      'within 0..4',
    ],
    [
      'a size that differs',
      fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4),
      '8 bytes',
    ],
    [
      'overlapping data',
      fileOf(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[2,6]}}',
        6,
      ),
      'begin at 4',
    ],
    ['a hole', fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8), 'begin at 0'],
    ['bytes of no tensor', fileOf('{}', 1), 'cut or has bytes of no tensor'],
    ['an entry that is null', fileOf('{"a":null}'), 'F32, F16 or BF16'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseSafetensors(bytes, 'file')).toThrow(message);
  });

  test('refuses to write a name twice or a shape that does not fit', () => {
    const [tensor] = tensors as [(typeof tensors)[0]];
    expect(() => formatSafetensors([tensor, tensor])).toThrow('each name once');
    expect(() => formatSafetensors([{ ...tensor, shape: [7] }])).toThrow('received shape (7)');
  });

  test('any damaged file gives tensors or an InputError, never anything else', () => {
    const intact = formatSafetensors(tensors.slice(0, 2));
    const edit = fc.record({ at: fc.nat(intact.length - 1), byte: fc.nat(255) });
    const damaged = fc
      .tuple(fc.array(edit, { maxLength: 6 }), fc.nat(intact.length))
      .map(([edits, length]) => {
        const bytes = intact.slice();
        for (const { at, byte } of edits) bytes[at] = byte;
        return bytes.subarray(0, length);
      });
    const arbitrary = fc.oneof(damaged, fc.uint8Array({ maxLength: 64 }));
    fc.assert(
      fc.property(arbitrary, (bytes) => {
        try {
          parseSafetensors(bytes, 'file');
        } catch (error) {
          expect(MaskSearchError.isInstance(error) && error.code).toBe('input');
        }
      }),
      { numRuns: 2000 },
    );
  });
});
