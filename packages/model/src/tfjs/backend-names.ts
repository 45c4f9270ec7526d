// The tfjs backends that the model runs on, by name; loads nothing.

export const TFJS_BACKENDS = ['tfjs-cpu', 'tfjs-wasm', 'tfjs-node', 'tfjs-node-gpu'] as const;
export type TfjsBackend = (typeof TFJS_BACKENDS)[number];
