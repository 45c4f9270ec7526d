// Fibers, barriers and exchanges of the emulator.
#include "emulator.h"

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace emulator {

Position position;
bool reverse_threads = false;

namespace {

constexpr size_t kStackBytes = 64 * 1024;
constexpr unsigned kWarp = 32;
constexpr size_t kLargestShared = 227 * 1024;
constexpr unsigned kLargestBlock = 1024;

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

// Threads that have arrived at a barrier, and how often it has opened.
struct Barrier {
  unsigned arrived = 0;
  unsigned opened = 0;
};

struct Fiber {
  ucontext_t context;
  Dimensions thread;
  bool done = false;
  std::vector<std::vector<Copy>> groups;  // committed copies, oldest first
  std::vector<Copy> open;
};

struct Warp {
  Barrier barrier;
  alignas(64) unsigned char memory[kWarp * kLaneBytes];
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Barrier barrier;
  unsigned alive = 0;
  std::vector<unsigned char> shared;
  const std::function<void()>* body = nullptr;
  ucontext_t scheduler;
  unsigned current = 0;
  uint64_t progress = 0;  // grows whenever a thread passes a barrier or ends
};

Block* block = nullptr;

[[noreturn]] void stop(const char* problem) {
  std::fprintf(stderr, "emulator: %s in block (%u, %u, %u), thread %u\n", problem,
               position.block.x, position.block.y, position.block.z, position.thread.x);
  std::abort();
}

std::vector<std::unique_ptr<unsigned char[]>>& stacks() {
  static std::vector<std::unique_ptr<unsigned char[]>> all;
  return all;
}

void fiber_main() {
  (*block->body)();
  Fiber& me = block->fibers[block->current];
  me.done = true;
  block->alive--;
  block->progress++;
  swapcontext(&me.context, &block->scheduler);
}

void give_way() {
  const unsigned mine = block->current;
  swapcontext(&block->fibers[mine].context, &block->scheduler);
}

void meet(Barrier* barrier, unsigned expected) {
  const unsigned opened = barrier->opened;
  if (++barrier->arrived == expected) {
    barrier->arrived = 0;
    barrier->opened++;
    block->progress++;
    return;
  }
  while (barrier->opened == opened) give_way();
}

void start(Fiber* fiber, unsigned index) {
  fiber->done = false;
  fiber->groups.clear();
  fiber->open.clear();
  fiber->thread = {index, 0, 0};
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = stacks()[index].get();
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, fiber_main, 0);
}

void run_block() {
  Block& b = *block;
  const unsigned threads = unsigned(b.fibers.size());
  std::memset(b.shared.data(), 0xff, b.shared.size());
  b.barrier = {};
  for (Warp& warp : b.warps) warp.barrier = {};
  b.alive = threads;
  for (unsigned t = 0; t < threads; t++) start(&b.fibers[t], t);
  while (b.alive > 0) {
    const uint64_t before = b.progress;
    for (unsigned i = 0; i < threads; i++) {
      const unsigned t = reverse_threads ? threads - 1 - i : i;
      Fiber& fiber = b.fibers[t];
      if (fiber.done) continue;
      b.current = t;
      position.thread = fiber.thread;
      swapcontext(&b.scheduler, &fiber.context);
    }
    if (b.progress == before) stop("threads wait at different barriers (deadlock)");
  }
}

}  // namespace

void run(Dimensions grid, Dimensions block_size, size_t shared_bytes,
         const std::function<void()>& body) {
  if (block_size.y != 1 || block_size.z != 1 || block_size.x == 0 ||
      block_size.x > kLargestBlock || block_size.x % kWarp != 0)
    stop("blocks are one-dimensional, of whole warps and at most 1024 threads");
  if (shared_bytes > kLargestShared) stop("more shared memory than a block can have");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535)
    stop("a grid that no GPU accepts");
  if (block != nullptr) stop("a launch inside a kernel");
  Block mine;
  mine.fibers.resize(block_size.x);
  mine.warps.resize(block_size.x / kWarp);
  mine.shared.resize(shared_bytes + 1024);
  mine.body = &body;
  while (stacks().size() < block_size.x)
    stacks().push_back(std::make_unique<unsigned char[]>(kStackBytes));
  block = &mine;
  position.block_size = block_size;
  position.grid_size = grid;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        position.block = {x, y, z};
        run_block();
      }
  block = nullptr;
}

void block_barrier() { meet(&block->barrier, block->alive); }

void warp_barrier() { meet(&block->warps[block->current / kWarp].barrier, kWarp); }

unsigned lane() { return block->current % kWarp; }

unsigned char* lane_memory(unsigned lane) {
  return block->warps[block->current / kWarp].memory + lane * kLaneBytes;
}

uint64_t exchange(uint64_t value, unsigned from_lane) {
  std::memcpy(lane_memory(lane()), &value, sizeof value);
  warp_barrier();
  uint64_t other;
  std::memcpy(&other, lane_memory(from_lane), sizeof other);
  warp_barrier();
  return other;
}

unsigned char* dynamic_shared() {
  const uintptr_t start = reinterpret_cast<uintptr_t>(block->shared.data());
  return reinterpret_cast<unsigned char*>((start + 1023) / 1024 * 1024);
}

void copy_async(void* to, const void* from, bool valid) {
  block->fibers[block->current].open.push_back({to, from, valid});
}

void commit_copies() {
  Fiber& me = block->fibers[block->current];
  me.groups.push_back(std::move(me.open));
  me.open.clear();
}

void wait_for_copies(int groups_left) {
  Fiber& me = block->fibers[block->current];
  while (int(me.groups.size()) > groups_left) {
    for (const Copy& copy : me.groups.front()) {
      if (copy.valid) {
        std::memcpy(copy.to, copy.from, 16);
      } else {
        std::memset(copy.to, 0, 16);
      }
    }
    me.groups.erase(me.groups.begin());
  }
}

}  // namespace emulator
