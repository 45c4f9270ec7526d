// A tokenizer.json written as Llama 3's is, over the vocabulary of another one: its components and options, not its tokens.

/** Of a byte-level tokenizer.json, what is changed. */
export interface ByteLevelFile {
  readonly added_tokens: readonly { readonly id: number }[];
  readonly model: { readonly merges: readonly unknown[] };
}

const PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const BEGIN = '<|begin_of_text|>';

/** One merge in so many is left out: its word is then known to the vocabulary alone, as many of Llama 3's are. */
const LEFT_OUT_EVERY = 50;

export function inLlama3Form(file: ByteLevelFile): ByteLevelFile {
  const { added_tokens: added, model } = file;
  const begin = 1 + Math.max(...added.map(({ id }) => id));
  const sequence = { id: 'A', type_id: 0 };
  const parts = {
    added_tokens: [...added, { ...added[0], id: begin, content: BEGIN }],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: PATTERN }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: {
      type: 'Sequence',
      processors: [
        { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
        {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: BEGIN, type_id: 0 } }, { Sequence: sequence }],
          pair: [
            { SpecialToken: { id: BEGIN, type_id: 0 } },
            { Sequence: sequence },
            { SpecialToken: { id: BEGIN, type_id: 1 } },
            { Sequence: { id: 'B', type_id: 1 } },
          ],
          special_tokens: { [BEGIN]: { id: BEGIN, ids: [begin], tokens: [BEGIN] } },
        },
      ],
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      ...model,
      ignore_merges: true,
      merges: model.merges.filter((_, i) => i % LEFT_OUT_EVERY !== LEFT_OUT_EVERY - 1),
    },
  };
  return { ...file, ...parts };
}
