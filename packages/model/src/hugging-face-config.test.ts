import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyChangeOf, expectValueOrConfigError } from '../test/any-json.ts';
import { qwen25HalfBillion as expected } from './conformance/shapes.ts';
import type { DecoderConfig } from './decoder-config.ts';
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

const llama3 = {
  rope_type: 'llama3',
  factor: 8.0,
  low_freq_factor: 1.0,
  high_freq_factor: 4.0,
  original_max_position_embeddings: 8192,
};
const ropeScaling = {
  type: 'llama3',
  factor: 8,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalMaxPositions: 8192,
} as const;

describe('parseDecoderConfig', () => {
  test('reads the config of transformers 4 and of transformers 5', () => {
    expect(parseDecoderConfig(version4)).toEqual(expected);
    expect(parseDecoderConfig(version5)).toEqual(expected);
  });

  test('reads Llama 3.1 in both spellings of its rope scaling', () => {
    const { architectures: _, model_type: __, ...sizes } = version4;
    const llama = { ...sizes, model_type: 'llama', attention_bias: false, mlp_bias: false };
    const read = { ...expected, attentionBias: false, ropeScaling };
    expect(parseDecoderConfig({ ...llama, rope_scaling: llama3 })).toEqual(read);
    const { rope_theta: theta, ...rest } = llama;
    const parameters = { ...llama3, rope_theta: theta };
    expect(parseDecoderConfig({ ...rest, rope_parameters: parameters })).toEqual(read);
  });

  test('a Qwen3 without head_dim has heads of 128, as in transformers', () => {
    const qwen3 = { ...version4, architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' };
    expect(parseDecoderConfig(qwen3)).toEqual({
      ...expected,
      attentionBias: false,
      queryKeyNorm: true,
      headWidth: 128,
    });
  });

  test('reads what writeDecoderConfig wrote, of every family', () => {
    const kinds: Partial<DecoderConfig>[] = [
      { attentionBias: true },
      { attentionBias: false },
      { attentionBias: false, queryKeyNorm: true },
      { attentionBias: false, ropeScaling },
    ];
    for (const kind of kinds) {
      const config = { ...expected, headWidth: 32, tiedEmbeddings: false, ...kind };
      expect(parseDecoderConfig(JSON.parse(JSON.stringify(writeDecoderConfig(config))))).toEqual(
        config,
      );
    }
    const none = { ...expected, attentionBias: true, queryKeyNorm: true };
    expect(() => writeDecoderConfig(none)).toThrow('no family has them together');
  });

  test.each<[string, object]>([
    ['model_type', { model_type: 'qwen3_moe' }],
    ['architectures', { model_type: 'qwen3' }],
    ['architectures', { architectures: ['Qwen2ForSequenceClassification'] }],
    ['model_type', { model_type: undefined }],
    ['hidden_act', { hidden_act: 'gelu' }],
    ['rope_scaling.type = "yarn"', { rope_scaling: { type: 'yarn', factor: 4 } }],
    ['rope_scaling.rope_type = "linear"', { rope_scaling: { rope_type: 'linear', factor: 2 } }],
    ['rope_scaling: expected factor', { rope_scaling: { rope_type: 'llama3' } }],
    ['rope_scaling.factor', { rope_scaling: { rope_type: 'default', factor: 8 } }],
    ['scaling factor >= 1', { rope_scaling: { ...llama3, factor: 0 } }],
    ['high_freq_factor', { rope_scaling: { ...llama3, high_freq_factor: 1 } }],
    ['rope_scaling.attention_factor', { rope_scaling: { ...llama3, attention_factor: 0.5 } }],
    ['rope_scaling.type = "yarn"', { rope_scaling: { ...llama3, type: 'yarn' } }],
    [
      'rope_scaling and rope_parameters to agree',
      {
        rope_scaling: llama3,
        rope_parameters: { ...llama3, factor: 32, rope_theta: 1e6 },
      },
    ],
    ['rope_parameters.partial_rotary_factor', { rope_parameters: { partial_rotary_factor: 0.5 } }],
    ['rope_parameters', { rope_parameters: 3 }],
    ['to agree', { rope_parameters: { rope_theta: 5, rope_type: 'default' } }],
    ['neither', { rope_theta: undefined }],
    ['use_sliding_window', { use_sliding_window: true }],
    ['layer_types', { layer_types: ['full_attention', 'sliding_attention'] }],
    ['attention_dropout', { attention_dropout: 0.1 }],
    ['attention_bias', { attention_bias: false }],
    ['mlp_bias', { mlp_bias: true }],
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
    const keys = Object.keys({ ...version4, ...version5 });
    const json = fc.oneof(anyChangeOf(version4, keys), fc.jsonValue());
    expectValueOrConfigError(parseDecoderConfig, json);
  });
});
