// Sizes of the pieces in which work is done. They bound memory and change no result.
#pragma once

#include "kernels.h"

namespace masksearch {

constexpr int kPassTokens = 2048;    // of sequences that go through the layers together in training
constexpr int kChunkRows = 512;      // labels whose logits exist at a time
constexpr int kPromptRows = 1024;    // prompt or tool tokens that a sampler reads in one pass
constexpr int kCacheBlock = 256;     // tokens by which a key-value cache grows; a multiple of kPanel
constexpr int kAttentionRows = 56;   // query rows per attention task, four register tiles
constexpr int kGradientTokens = 256;  // tokens that are packed together for a weight gradient
constexpr int kRowTile = 112;  // rows that go through a layer's matrices together; 8 register tiles
constexpr int kRegisterRows = 14;

static_assert(kCacheBlock % kPanel == 0, "key tiles do not straddle blocks");

}  // namespace masksearch
