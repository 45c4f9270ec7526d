// The decoder's operations in float64 plain loops, each with its backward pass. Slow, and meant to be read.
// All arrays are row-major; indices are in range by construction, hence the `!`.

/** A value, and the function that turns its gradient into gradients of the inputs. */
export interface Differentiable<Inputs> {
  readonly y: Float64Array;
  readonly backward: (dY: Float64Array) => Inputs;
}

/** y (N, O) = x (N, I) · weight (O, I)ᵀ + bias (O). */
export function linear(
  x: Float64Array,
  weight: Float64Array,
  bias: Float64Array | undefined,
  I: number,
): Differentiable<{ dX: Float64Array; dWeight: Float64Array; dBias: Float64Array }> {
  const N = x.length / I;
  const O = weight.length / I;
  const y = new Float64Array(N * O);
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      let sum = bias === undefined ? 0 : bias[o]!;
      for (let i = 0; i < I; i++) sum += x[n * I + i]! * weight[o * I + i]!;
      y[n * O + o] = sum;
    }
  }
  const backward = (dY: Float64Array) => {
    const dX = new Float64Array(N * I);
    const dWeight = new Float64Array(O * I);
    const dBias = new Float64Array(O);
    for (let n = 0; n < N; n++) {
      for (let o = 0; o < O; o++) {
        const d = dY[n * O + o]!;
        dBias[o]! += d;
        for (let i = 0; i < I; i++) {
          dX[n * I + i]! += d * weight[o * I + i]!;
          dWeight[o * I + i]! += d * x[n * I + i]!;
        }
      }
    }
    return { dX, dWeight, dBias };
  };
  return { y, backward };
}

/** y[n, c] = x[n, c] · weight[c] / sqrt(mean_c(x[n, c]²) + epsilon). */
export function rmsNorm(
  x: Float64Array,
  weight: Float64Array,
  epsilon: number,
): Differentiable<{ dX: Float64Array; dWeight: Float64Array }> {
  const C = weight.length;
  const N = x.length / C;
  const y = new Float64Array(N * C);
  const scales = new Float64Array(N);
  for (let n = 0; n < N; n++) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x[n * C + c]! ** 2;
    scales[n] = 1 / Math.sqrt(squares / C + epsilon);
    for (let c = 0; c < C; c++) y[n * C + c] = x[n * C + c]! * weight[c]! * scales[n]!;
  }
  const backward = (dY: Float64Array) => {
    const dX = new Float64Array(N * C);
    const dWeight = new Float64Array(C);
    for (let n = 0; n < N; n++) {
      const scale = scales[n]!;
      let projection = 0; // Σ dY · y, by which the gradient leaves the direction of x
      for (let c = 0; c < C; c++) projection += dY[n * C + c]! * y[n * C + c]!;
      for (let c = 0; c < C; c++) {
        const d = dY[n * C + c]!;
        dWeight[c]! += d * x[n * C + c]! * scale;
        dX[n * C + c] = scale * (d * weight[c]! - (x[n * C + c]! * scale * projection) / C);
      }
    }
    return { dX, dWeight };
  };
  return { y, backward };
}

/**
 * Turns the pairs (d, d + D/2) of every head by position · frequencies[d].
 * @param x (T, heads, D).
 * @param frequencies (D/2) radians per position.
 */
export function rotary(
  x: Float64Array,
  positions: ArrayLike<number>,
  { heads, frequencies }: { heads: number; frequencies: Float64Array },
): Differentiable<{ dX: Float64Array }> {
  const D = 2 * frequencies.length;
  const turn = (source: Float64Array, direction: 1 | -1): Float64Array => {
    const result = new Float64Array(source.length);
    for (let t = 0; t < positions.length; t++) {
      for (let h = 0; h < heads; h++) {
        for (let d = 0; d < D / 2; d++) {
          const angle = direction * positions[t]! * frequencies[d]!;
          const first = (t * heads + h) * D + d;
          const second = first + D / 2;
          result[first] = source[first]! * Math.cos(angle) - source[second]! * Math.sin(angle);
          result[second] = source[second]! * Math.cos(angle) + source[first]! * Math.sin(angle);
        }
      }
    }
    return result;
  };
  return { y: turn(x, 1), backward: (dY) => ({ dX: turn(dY, -1) }) };
}

/**
 * Causal grouped-query attention over one sequence; head h reads key/value head floor(h · K / H).
 * @param q (T, H, D); k, v (T, K, D).
 * @returns y (T, H, D).
 */
export function causalAttention(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  { H, K, D }: { H: number; K: number; D: number },
): Differentiable<{ dQ: Float64Array; dK: Float64Array; dV: Float64Array }> {
  const T = q.length / (H * D);
  const scale = 1 / Math.sqrt(D);
  const y = new Float64Array(T * H * D);
  const probabilities = new Float64Array(H * T * T); // (H, T, T), 0 above the diagonal
  const keyRow = (s: number, h: number): number => (s * K + Math.floor((h * K) / H)) * D;
  const queryRow = (t: number, h: number): number => (t * H + h) * D;
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < T; t++) {
      const row = probabilities.subarray((h * T + t) * T, (h * T + t) * T + t + 1);
      for (let s = 0; s <= t; s++) row[s] = scale * dot(q, queryRow(t, h), k, keyRow(s, h), D);
      softmax(row);
      for (let s = 0; s <= t; s++) addScaled(y, queryRow(t, h), v, keyRow(s, h), row[s]!, D);
    }
  }
  const backward = (dY: Float64Array) => {
    const dQ = new Float64Array(q.length);
    const dK = new Float64Array(k.length);
    const dV = new Float64Array(v.length);
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < T; t++) {
        const row = probabilities.subarray((h * T + t) * T, (h * T + t) * T + t + 1);
        const dRow = row.map((_, s) => dot(dY, queryRow(t, h), v, keyRow(s, h), D));
        const mean = dot(row, 0, dRow, 0, t + 1);
        for (let s = 0; s <= t; s++) {
          const dScore = scale * row[s]! * (dRow[s]! - mean);
          addScaled(dQ, queryRow(t, h), k, keyRow(s, h), dScore, D);
          addScaled(dK, keyRow(s, h), q, queryRow(t, h), dScore, D);
          addScaled(dV, keyRow(s, h), dY, queryRow(t, h), row[s]!, D);
        }
      }
    }
    return { dQ, dK, dV };
  };
  return { y, backward };
}

/** y = silu(gate) · up, element by element. */
export function swiGlu(
  gate: Float64Array,
  up: Float64Array,
): Differentiable<{ dGate: Float64Array; dUp: Float64Array }> {
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  return {
    y: gate.map((g, i) => g * sigmoid(g) * up[i]!),
    backward: (dY) => ({
      dGate: gate.map((g, i) => dY[i]! * up[i]! * sigmoid(g) * (1 + g * (1 - sigmoid(g)))),
      dUp: gate.map((g, i) => dY[i]! * g * sigmoid(g)),
    }),
  };
}

/**
 * Log-probability of a target and entropy of the distribution, from hidden states.
 * @param hidden  (N, C).
 * @param weight  (V, C).
 * @param targets (N) ids.
 */
export function labelScores(
  hidden: Float64Array,
  weight: Float64Array,
  targets: ArrayLike<number>,
  C: number,
  temperature = 1,
) {
  const N = targets.length;
  const V = weight.length / C;
  const head = linear(hidden, weight, undefined, C);
  const all = head.y.map((logit) => logit / temperature); // (N, V), becomes log-probabilities
  const logProbs = new Float64Array(N);
  const entropies = new Float64Array(N);
  for (let n = 0; n < N; n++) {
    const row = all.subarray(n * V, (n + 1) * V);
    logSoftmax(row);
    logProbs[n] = row[targets[n]!]!;
    for (const logProb of row) entropies[n]! -= Math.exp(logProb) * logProb;
  }
  const backward = (dLogProbs: Float64Array, dEntropies: Float64Array) => {
    const dLogits = new Float64Array(N * V);
    for (let n = 0; n < N; n++) {
      for (let v = 0; v < V; v++) {
        const logProb = all[n * V + v]!;
        const probability = Math.exp(logProb);
        const byLogProb = (targets[n] === v ? 1 : 0) - probability;
        const byEntropy = -probability * (logProb + entropies[n]!);
        dLogits[n * V + v] = (dLogProbs[n]! * byLogProb + dEntropies[n]! * byEntropy) / temperature;
      }
    }
    const { dX, dWeight } = head.backward(dLogits);
    return { dHidden: dX, dWeight };
  };
  return { logProbs, entropies, backward };
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a[i + d]! * b[j + d]!;
  return sum;
}

function addScaled(
  target: Float64Array,
  i: number,
  source: Float64Array,
  j: number,
  factor: number,
  length: number,
): void {
  for (let d = 0; d < length; d++) target[i + d]! += factor * source[j + d]!;
}

function softmax(row: Float64Array): void {
  logSoftmax(row);
  for (let s = 0; s < row.length; s++) row[s] = Math.exp(row[s]!);
}

function logSoftmax(row: Float64Array): void {
  let largest = -Infinity;
  for (const value of row) largest = Math.max(largest, value);
  let sum = 0;
  for (const value of row) sum += Math.exp(value - largest);
  for (let s = 0; s < row.length; s++) row[s]! -= largest + Math.log(sum);
}
