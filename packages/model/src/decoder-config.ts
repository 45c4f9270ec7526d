// The shape of a decoder: Qwen2's architecture, in the words of Hugging Face's config.json.

/** Sizes and constants of a decoder. */
export interface DecoderConfig {
  readonly vocabularySize: number; // V
  readonly width: number; // C, hidden_size
  readonly layers: number; // L
  readonly heads: number; // H
  readonly keyValueHeads: number; // K, divides H
  readonly headWidth: number; // D, even
  readonly feedForwardWidth: number; // F
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  /** Longest sequence in tokens. */
  readonly maxPositions: number;
  /** q, k and v projections have biases (Qwen2: true). */
  readonly attentionBias: boolean;
  /** The embedding matrix is also the output projection. */
  readonly tiedEmbeddings: boolean;
}
