// Checks that what the bench times is right.
#pragma once

#include "engine.h"

namespace masksearch::bench {

// Throws std::runtime_error unless, on a ragged batch, training and scoring give the same
// log-probabilities bit for bit, the loss falls along the gradient as the gradient says, and sampled
// log-probabilities are those that scoring gives. Leaves weights and gradients as they were (zero).
void verify(Model* model);

}  // namespace masksearch::bench
