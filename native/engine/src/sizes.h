// Sizes of the pieces in which work is done. They bound memory and change no result.
#pragma once

#include "kernels.h"

namespace masksearch {

// Tokens of sequences that go through the layers together in training. Gradients of all weights are
// read and written once a pass; those of an adapter are small, and activations are better in a cache.
constexpr int pass_tokens(bool adapter) { return adapter ? 512 : 2048; }
constexpr int kChunkRows = 512;      // labels whose logits exist at a time
constexpr int kPromptRows = 1024;    // prompt or tool tokens that a sampler reads in one pass
constexpr int kCacheBlock = 256;     // tokens by which a key-value cache grows; a multiple of kPanel
constexpr int kRowsAtOnce = 4;         // wide rows on which several things are done in turn
constexpr int kSegmentsOfOwnTasks = 16;  // fewer sequences than that are decoded a head to a task
constexpr int kGradientTokens = 256;  // tokens that are packed together for a weight gradient

// Rows of a register tile; rows that go through a layer's matrices together; query rows of an
// attention task. In bfloat16 whole tiles of AMX.
constexpr int register_rows(DataType type) { return type == DataType::float32 ? 14 : 32; }
constexpr int row_tile(DataType type) { return type == DataType::float32 ? 112 : 128; }
constexpr int attention_rows(DataType type) { return type == DataType::float32 ? 56 : 64; }

static_assert(kCacheBlock % kPanel == 0, "key tiles do not straddle blocks");

}  // namespace masksearch
