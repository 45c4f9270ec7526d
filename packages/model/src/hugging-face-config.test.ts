import fc from 'fast-check';
import { MaskSearchError } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { parseDecoderConfig, writeDecoderConfig } from './hugging-face-config.ts';

const version4 = {
  architectures: ['Qwen2ForCausalLM'],
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151643,
  hidden_act: 'silu',
  hidden_size: 896,
  initializer_range: 0.02,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  max_window_layers: 24,
  model_type: 'qwen2',
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.40.1',
  use_cache: true,
  use_mrope: false,
  use_sliding_window: false,
  vocab_size: 151936,
};
const { rope_theta, ...withoutTheta } = version4;
const version5 = { ...withoutTheta, rope_parameters: { rope_theta, rope_type: 'default' } };

const expected = {
  vocabularySize: 151936,
  width: 896,
  layers: 24,
  heads: 14,
  keyValueHeads: 2,
  headWidth: 64,
  feedForwardWidth: 4864,
  ropeTheta: 1e6,
  normEpsilon: 1e-6,
  maxPositions: 32768,
  attentionBias: true,
  tiedEmbeddings: true,
};

describe('parseDecoderConfig', () => {
  test('reads the config of transformers 4 and of transformers 5', () => {
    expect(parseDecoderConfig(version4)).toEqual(expected);
    expect(parseDecoderConfig(version5)).toEqual(expected);
  });

  test('reads what writeDecoderConfig wrote, with and without biases', () => {
    for (const attentionBias of [true, false]) {
      const config = { ...expected, attentionBias, headWidth: 32, tiedEmbeddings: false };
      expect(parseDecoderConfig(JSON.parse(JSON.stringify(writeDecoderConfig(config))))).toEqual(
        config,
      );
    }
  });

  test.each<[string, object]>([
    ['model_type', { model_type: 'qwen3' }],
    ['model_type', { model_type: undefined }],
    ['hidden_act', { hidden_act: 'gelu' }],
    ['rope_scaling.type = "yarn"', { rope_scaling: { type: 'yarn', factor: 4 } }],
    ['rope_scaling.rope_type = "llama3"', { rope_scaling: { rope_type: 'llama3' } }],
    ['rope_parameters.partial_rotary_factor', { rope_parameters: { partial_rotary_factor: 0.5 } }],
    ['rope_parameters', { rope_parameters: 3 }],
    ['to agree', { rope_parameters: { rope_theta: 5, rope_type: 'default' } }],
    ['neither', { rope_theta: undefined }],
    ['use_sliding_window', { use_sliding_window: true }],
    ['layer_types', { layer_types: ['full_attention', 'sliding_attention'] }],
    ['attention_dropout', { attention_dropout: 0.1 }],
    ['attention_bias', { attention_bias: false }],
    ['mlp_bias', { model_type: 'llama', mlp_bias: true }],
    ['quantization_config', { quantization_config: { bits: 4 } }],
    ['use_mrope', { use_mrope: true }],
    ['num_experts', { num_experts: 8 }],
    ['hidden_size', { hidden_size: undefined }],
    ['hidden_size', { hidden_size: '896' }],
    ['hidden_size', { hidden_size: 896.5 }],
    ['heads', { num_key_value_heads: 3 }],
    ['headWidth', { num_attention_heads: 128 }],
    ['layers', { num_hidden_layers: 0 }],
    ['rms_norm_eps', { rms_norm_eps: null }],
    ['tie_word_embeddings', { tie_word_embeddings: 'yes' }],
  ])('refuses by name: %s %j', (message, change) => {
    expect(() => parseDecoderConfig({ ...version4, ...change }, 'x/config.json')).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining(message) }),
    );
  });

  test('any JSON gives a config or a ConfigError', () => {
    const key = fc.constantFrom(...Object.keys({ ...version4, ...version5 }));
    const change = fc.dictionary(key, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 });
    fc.assert(
      fc.property(
        fc.oneof(
          change.map((c) => ({ ...version4, ...c })),
          fc.jsonValue(),
        ),
        (json) => {
          try {
            parseDecoderConfig(json);
          } catch (error) {
            expect(MaskSearchError.isInstance(error) && error.code).toBe('config');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
