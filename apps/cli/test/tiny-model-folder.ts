// A model folder as Hugging Face lays it out, with random weights: tiny, chat template and tokenizer of its own.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializeInduction, saveModelFolder, type DecoderConfig } from '@masksearch/model';
import { trainBpe } from '@masksearch/tokenizer';

/** As Qwen's: turns between two marks, tool output as the user's. */
const CHAT_TEMPLATE = `{% for m in messages %}
{{- '<|im_start|>' + ('user' if m.role == 'tool' else m.role) + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}`;

const SPECIAL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

/** @param texts What its tokenizer is trained on. */
export async function writeTinyModelFolder(
  folder: string,
  texts: readonly string[],
): Promise<void> {
  const tokenizer = trainBpe(texts, { vocabularySize: 700, specialTokens: SPECIAL_TOKENS });
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
  const generation = { eos_token_id: SPECIAL_TOKENS.indexOf('<|im_end|>') };
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(generation));
}
