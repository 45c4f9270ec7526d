// Puts masks into text and into tokens by the native addon, and takes them out again.
import { InputError, MASK_MARKER } from '@masksearch/core';
import type { MaskTask, Span } from '@masksearch/core';
import { createSpanMaskOutput, maskSpansCollapsed } from '@masksearch/native-masking';
import type { SpanMaskOutput } from '@masksearch/native-masking';
import type { Encoding, Tokenizer } from '@masksearch/tokenizer';

type Slot = Pick<Span, 'start' | 'end'>;

/** Stands for the marker among UTF-16 code units. */
const MARKER_UNIT = -1;

/**
 * The text with `[mask]` in place of every slot.
 * @param slots In text order, without overlap; offsets are UTF-16.
 * @throws {InputError} slots are out of order or out of range. @throws {UnavailableError} no addon.
 */
export function maskText(text: string, slots: readonly Slot[]): string {
  const { ids, offsets, spanTokens } = maskEncoding(unitsOf(text), slots, MARKER_UNIT);
  slots.forEach((slot, i) => {
    if (spanTokens[i] !== slot.end - slot.start) {
      throw new InputError(
        `maskText: expected slots within ${text.length} characters, received [${slot.start}, ${slot.end}).`,
      );
    }
  });
  const pieces: string[] = [];
  let from = 0;
  for (let at = ids.indexOf(MARKER_UNIT); at >= 0; at = ids.indexOf(MARKER_UNIT, from)) {
    pieces.push(fromUnits(ids.subarray(from, at)), MASK_MARKER);
    from = at + 1;
  }
  pieces.push(fromUnits(ids.subarray(from, offsets[1])));
  return pieces.join('');
}

/** Tokens of a masked paragraph, with what stood under the masks. */
export interface MaskedTokens {
  /** Tokens with one mask token per slot. */
  readonly ids: Int32Array;
  /** Per token of the original text: its id if a slot covers any of it, otherwise -1. */
  readonly labels: Int32Array;
  /** (k) how many tokens each slot covers. */
  readonly slotTokens: Int32Array;
}

/**
 * The text's tokens with one `[mask]` token per slot; a token that a slot covers in part is masked whole.
 * @throws {InputError} slots are out of order, or two slots share their only token.
 * @throws {UnavailableError} the addon is not built.
 */
export function maskTokens(
  text: string,
  slots: readonly Slot[],
  tokenizer: Pick<Tokenizer, 'encodeWithOffsets' | 'specialId'>,
): MaskedTokens {
  const encoding = tokenizer.encodeWithOffsets(text);
  const output = maskEncoding(encoding, slots, tokenizer.specialId(MASK_MARKER));
  const lost = output.spanTokens.indexOf(0);
  if (lost >= 0) {
    throw new InputError(
      `maskTokens: expected every slot to cover a token of its own, received none for slot ${lost}.`,
    );
  }
  const ids = output.ids.subarray(0, output.offsets[1]);
  return { ids, labels: output.labels, slotTokens: output.spanTokens };
}

/**
 * The original text: every marker of `masked` replaced by its slot's text.
 * @throws {InputError} there are not as many markers as slots.
 */
export function unmask(task: Pick<MaskTask, 'masked' | 'slots'>): string {
  const pieces = task.masked.split(MASK_MARKER);
  if (pieces.length !== task.slots.length + 1) {
    throw new InputError(
      `unmask: expected ${task.slots.length} markers, received ${pieces.length - 1}.`,
    );
  }
  return pieces.map((piece, i) => piece + (task.slots[i]?.text ?? '')).join('');
}

function maskEncoding(encoding: Encoding, slots: readonly Slot[], maskId: number): SpanMaskOutput {
  const input = {
    ids: encoding.ids,
    offsets: Int32Array.of(0, encoding.ids.length),
    tokenStarts: encoding.starts,
    tokenEnds: encoding.ends,
    spanStarts: Int32Array.from(slots, (slot) => slot.start),
    spanEnds: Int32Array.from(slots, (slot) => slot.end),
    spanOffsets: Int32Array.of(0, slots.length),
    maskId,
  };
  const output = createSpanMaskOutput(input);
  maskSpansCollapsed(input, output);
  return output;
}

/** UTF-16 code units as tokens of one character each. */
function unitsOf(text: string): Encoding {
  const n = text.length;
  const encoding = {
    ids: new Int32Array(n),
    starts: new Int32Array(n),
    ends: new Int32Array(n),
  };
  for (let i = 0; i < n; i++) {
    encoding.ids[i] = text.charCodeAt(i);
    encoding.starts[i] = i;
    encoding.ends[i] = i + 1;
  }
  return encoding;
}

function fromUnits(units: Int32Array): string {
  // In pieces: a function takes a limited number of arguments.
  const size = 8192;
  let text = '';
  for (let i = 0; i < units.length; i += size) {
    text += String.fromCharCode(...units.subarray(i, i + size));
  }
  return text;
}
