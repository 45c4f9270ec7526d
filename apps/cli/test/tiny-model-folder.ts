// A model folder as Hugging Face lays it out, with random weights: tiny, chat template and tokenizer of its own.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializeInduction, saveModelFolder, type DecoderConfig } from '@masksearch/model';
import { trainBpe, type Tokenizer } from '@masksearch/tokenizer';

/** As Qwen's: turns between two marks, tool output as the user's. */
const CHAT_TEMPLATE = `{% for m in messages %}
{{- '<|im_start|>' + ('user' if m.role == 'tool' else m.role) + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}`;

const SPECIAL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

/** A tokenizer with the special tokens of the chat template. */
export function trainTinyTokenizer(texts: readonly string[]): Tokenizer {
  return trainBpe(texts, { vocabularySize: 700, specialTokens: SPECIAL_TOKENS });
}

/** @param tokenizer Any that has Qwen's special tokens. */
export async function writeTinyModelFolder(folder: string, tokenizer: Tokenizer): Promise<void> {
  const config: DecoderConfig = {
    vocabularySize: tokenizer.vocabularySize,
    width: 64,
    layers: 2,
    heads: 4,
    keyValueHeads: 1,
    headWidth: 16,
    feedForwardWidth: 128,
    ropeTheta: 10_000,
    normEpsilon: 1e-6,
    maxPositions: 2048,
    attentionBias: true,
    tiedEmbeddings: true,
  };
  const weights = initializeInduction(config, 1);
  await saveModelFolder(
    folder,
    { config, weights: () => Promise.resolve(weights) },
    { tokenizerJson: tokenizer.serialize() },
  );
  writeFileSync(join(folder, 'chat_template.jinja'), CHAT_TEMPLATE);
  const tokenizerConfig = { eos_token: '<|im_end|>', clean_up_tokenization_spaces: false };
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  const generation = { eos_token_id: tokenizer.specialId('<|im_end|>') };
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(generation));
}
