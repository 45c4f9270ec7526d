// Continuous batching on the device: sequences keep their keys in pages of one pool between turns,
// and all running ones advance by one token in one recorded graph.
#pragma once

#include <memory>

#include "device_model.h"
#include "turns.h"

namespace masksearch::cuda {

class DeviceSampler {
 public:
  // The model must outlive it. @throws MemoryError, std::invalid_argument.
  DeviceSampler(DeviceModel& model, int max_sequences, int max_context_tokens);
  ~DeviceSampler();
  DeviceSampler(const DeviceSampler&) = delete;
  DeviceSampler& operator=(const DeviceSampler&) = delete;

  // As Sampler in engine.h.
  int open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1);
  void append(int sequence, const int32_t* tokens, int count);
  int length(int sequence) const;
  void generate(int sequence, const GenerateRequest& request);
  void cancel(int sequence);
  void close(int sequence);
  bool step(std::vector<Generated>* finished);

  const SamplerPlan& plan() const { return plan_; }
  int free_pages() const { return int(free_pages_.size()); }

 private:
  struct Sequence : TurnSequence {
    std::vector<int32_t> pages;
    int64_t used = 0;  // clock of the last read
  };

  WeightsAge age() const { return {model_.cache_epoch(), model_.version()}; }
  void admit();
  bool fits(const Sequence& sequence) const;
  void reserve_pages(Sequence* sequence, int length);
  Sequence* page_victim(const Sequence* asking);
  void drop_pages(Sequence* sequence);
  void read_prompts();
  bool read_some_prompts();
  void decode();
  void set_rows_to_slots();
  void send_allowed(const std::vector<Sequence*>& batch);
  void fill_slots(const std::vector<Sequence*>& batch, int slots);
  void run_decode(int slots);
  void enqueue_decode(int slots);
  PassBuffers buffers_of(int rows) const;
  void run_layers(const PassBuffers& pass, int most_keys);
  void write_page_rows(const std::vector<Sequence*>& batch);
  template <class T>
  T* at(size_t offset) const {
    return model_.state.at<T>(base_ + offset);
  }
  int pages_for(int length) const { return (length + kPageTokens - 1) / kPageTokens; }

  DeviceModel& model_;
  const int max_sequences_;
  Turns<Sequence> turns_;
  SamplerPlan plan_;
  size_t base_;
  std::vector<int32_t> free_pages_;
  int64_t clock_ = 0;  // for the least recently used sequence
  bool rows_are_slots_ = false;  // the device's list that says whose each row is

  // Pinned mirrors of the slots' inputs and results.
  struct Slots;
  std::unique_ptr<Slots> slots_;
  GraphCache graphs_;  // of each number of slots
};

// Numbers of slots that graphs are recorded for: the least power of two, at most `max_sequences`.
int slot_bucket(int sequences, int max_sequences);

}  // namespace masksearch::cuda
