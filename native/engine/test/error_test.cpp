// Every refusal of bad input: the kind of error and what it says.
#include "fixtures.h"

using namespace masksearch;
using namespace test;

namespace {

const DecoderConfig kConfig{20, 8, 1, 2, 1, 4, 12, 10000.0, 1e-6, 16, true, true};

template <class Change>
void refuses_config(const std::string& part, Change change) {
  DecoderConfig config = kConfig;
  change(&config);
  CHECK_THROWS(std::invalid_argument, part, Model(config, 1));
}

TEST("configs that make no model are refused by name") {
  refuses_config("vocabulary_size >= 1, received 0", [](auto* c) { c->vocabulary_size = 0; });
  refuses_config("width >= 1, received -3", [](auto* c) { c->width = -3; });
  refuses_config("layers >= 1", [](auto* c) { c->layers = 0; });
  refuses_config("key_value_heads to divide heads", [](auto* c) { c->heads = 3, c->key_value_heads = 2; });
  refuses_config("even head_width, received 5", [](auto* c) { c->head_width = 5; });
  refuses_config("feed_forward_width >= 1", [](auto* c) { c->feed_forward_width = 0; });
  refuses_config("max_positions >= 1", [](auto* c) { c->max_positions = 0; });
  refuses_config("rope_theta finite and > 0", [](auto* c) { c->rope_theta = 0; });
  refuses_config("norm_epsilon finite and > 0", [](auto* c) { c->norm_epsilon = NAN; });
  refuses_config("at most 2^30", [](auto* c) { c->heads = 1 << 20, c->head_width = 1 << 20; });
  CHECK_THROWS(std::invalid_argument, "threads >= 1, received 0", Model(kConfig, 0));
  CHECK_THROWS(std::invalid_argument, "threads <= 1024", Model(kConfig, 5000));
}

struct Parts {
  std::vector<int32_t> tokens{1, 2, 3, 4, 5}, offsets{0, 3, 5};
  std::vector<uint8_t> mask{0, 1, 1, 0, 1};
};

template <class Change>
void refuses_batch(const std::string& part, Change change) {
  Model model(kConfig, 1);
  Parts p;
  change(&p);
  std::vector<float> log_probs(64), entropies(64);
  CHECK_THROWS(std::invalid_argument, part,
               model.score({p.tokens.data(), p.offsets.data(), p.mask.data(), int(p.tokens.size()),
                            int(p.offsets.size()) - 1},
                           log_probs.data(), entropies.data()));
}

TEST("malformed batches are refused with where and what") {
  refuses_batch("token ids in [0, 20), received 20 at index 3", [](Parts* p) { p->tokens[3] = 20; });
  refuses_batch("received -1 at index 0", [](Parts* p) { p->tokens[0] = -1; });
  refuses_batch("offsets to start at 0", [](Parts* p) { p->offsets[0] = 1; });
  refuses_batch("offsets strictly increasing", [](Parts* p) { p->offsets = {0, 3, 3, 5}; });
  refuses_batch("offsets strictly increasing", [](Parts* p) { p->offsets = {0, 4, 2, 5}; });
  refuses_batch("offsets strictly increasing up to 5", [](Parts* p) { p->offsets = {0, 3, 9}; });
  refuses_batch("last offset to be 5, received 4", [](Parts* p) { p->offsets = {0, 3, 4}; });
  refuses_batch("first token of sequence 1", [](Parts* p) { p->mask[3] = 1; });
  refuses_batch("loss_mask of 0 and 1, received 7", [](Parts* p) { p->mask[1] = 7; });
  refuses_batch("at least one sequence and one token", [](Parts* p) { p->offsets = {0}; });
  refuses_batch("at most max_positions = 16 tokens, received 17", [](Parts* p) {
    p->tokens.assign(17, 1);
    p->mask.assign(17, 0);
    p->offsets = {0, 17};
  });
}

TEST("malformed losses and optimizer settings are refused") {
  Model model(kConfig, 1);
  Parts p;
  const Batch batch{p.tokens.data(), p.offsets.data(), p.mask.data(), 5, 2};
  std::vector<float> log_probs(5), entropies(5);
  const auto accumulate = [&](const TokenLoss& loss) {
    model.accumulate(batch, loss, log_probs.data(), entropies.data());
  };
  CHECK_THROWS(std::invalid_argument, "a callback", accumulate(TokenLoss{LossKind::custom}));
  CHECK_THROWS(std::invalid_argument, "old_log_probs and advantages", accumulate(TokenLoss{LossKind::dapo}));
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = INFINITY;
  CHECK_THROWS(std::invalid_argument, "scale finite", accumulate(loss));
  loss = TokenLoss{LossKind::dapo};
  loss.old_log_probs = loss.advantages = log_probs.data();
  loss.clip_low = 1.5;
  CHECK_THROWS(std::invalid_argument, "clip_low in [0, 1)", accumulate(loss));
  loss.clip_low = 0.2;
  loss.dual_clip = 0.5;
  CHECK_THROWS(std::invalid_argument, "dual_clip 0 (off) or > 1", accumulate(loss));
  CHECK_THROWS(std::invalid_argument, "learning_rate finite and >= 0", model.step({-1.0}));
  CHECK_THROWS(std::invalid_argument, "beta2 in [0, 1)", model.step({1e-3, 0.9, 1.0}));
  CHECK_THROWS(std::invalid_argument, "version >= 0", model.set_version(-1));
}

TEST("misuse of the sampler is refused") {
  Model model(kConfig, 1);
  CHECK_THROWS(std::invalid_argument, "max_sequences >= 1", Sampler(model, 0, 8));
  CHECK_THROWS(std::invalid_argument, "max_context_tokens in [1, max_positions = 16], received 17",
               Sampler(model, 1, 17));
  Sampler sampler(model, 1, 8);
  const int32_t tokens[] = {1, 2, 3, 99};
  CHECK_THROWS(std::invalid_argument, "open: expected token ids in [0, 20), received 99",
               sampler.open(tokens, 4, 0, 0));
  const std::vector<int32_t> many(9, 1);
  CHECK_THROWS(std::invalid_argument, "at most max_context_tokens = 8 tokens, received 9",
               sampler.open(many.data(), 9, 0, 0));
  const int handle = sampler.open(tokens, 3, 0, 0);
  CHECK_THROWS(std::invalid_argument, "received 3 + 6", sampler.append(handle, many.data(), 6));
  CHECK_THROWS(std::invalid_argument, "max_tokens >= 1", sampler.generate(handle, {0, {}, 1, 0}));
  CHECK_THROWS(std::invalid_argument, "temperature finite", sampler.generate(handle, {1, {}, -1, 0}));
  CHECK_THROWS(std::invalid_argument, "stop sequences of at least one token",
               sampler.generate(handle, {1, {{}}, 1, 0}));
  const int empty = sampler.open(nullptr, 0, 0, 0);
  CHECK_THROWS(std::invalid_argument, "at least one token", sampler.generate(empty, {1, {}, 1, 0}));
  sampler.generate(handle, {1, {}, 1, 0});
  CHECK_THROWS(std::runtime_error, "no turn in progress", sampler.generate(handle, {1, {}, 1, 0}));
  CHECK_THROWS(std::runtime_error, "no turn in progress", sampler.append(handle, tokens, 1));
  sampler.close(handle);
  CHECK_THROWS(std::invalid_argument, "closed or never opened", sampler.close(handle));
  CHECK_THROWS(std::invalid_argument, "closed or never opened", sampler.cancel(1234));
}

}  // namespace
