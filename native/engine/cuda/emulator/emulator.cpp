// Fibers, barriers and exchanges of the emulator.
#include "emulator.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#if defined(__x86_64__)
// Saves what a call must keep on the old stack, remembers that stack, and goes on with the new one.
extern "C" void emulator_switch(void** old_stack, void* new_stack);
asm(R"(
.text
.globl emulator_switch
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, .-emulator_switch
)");
#endif

namespace emulator {

Position position;
bool reverse_threads = false;

namespace {

constexpr size_t kStackBytes = 64 * 1024;
constexpr unsigned kWarp = 32;
constexpr size_t kLargestShared = 99 * 1024;  // of sm_89, the least of those that are compiled for
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

// A stack to go on with. On x86-64 a switch is a dozen instructions; elsewhere the system's.
#if defined(__x86_64__)
struct Context {
  void* stack_pointer = nullptr;

  void prepare(unsigned char* stack, size_t bytes, void (*entry)()) {
    const uintptr_t top = reinterpret_cast<uintptr_t>(stack + bytes) / 16 * 16;
    void** frame = reinterpret_cast<void**>(top) - 8;
    for (int i = 0; i < 8; i++) frame[i] = nullptr;  // six registers, and no one to return to
    frame[6] = reinterpret_cast<void*>(entry);
    stack_pointer = frame;
  }
  void switch_to(Context* other) { emulator_switch(&stack_pointer, other->stack_pointer); }
};
#else
struct Context {
  ucontext_t context;

  void prepare(unsigned char* stack, size_t bytes, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
  }
  void switch_to(Context* other) { swapcontext(&context, &other->context); }
};
#endif

struct Fiber {
  Context context;
  Dimensions thread;
  bool done = false;
  const Barrier* waiting = nullptr;  // until it has opened more often than `opened`
  unsigned opened = 0;
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
  Context scheduler;
  unsigned current = 0;
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
  me.context.switch_to(&block->scheduler);
}

void meet(Barrier* barrier, unsigned expected) {
  if (++barrier->arrived == expected) {
    barrier->arrived = 0;
    barrier->opened++;
    return;
  }
  Fiber& me = block->fibers[block->current];
  me.waiting = barrier;
  me.opened = barrier->opened;
  me.context.switch_to(&block->scheduler);
}

void start(Fiber* fiber, unsigned index) {
  fiber->done = false;
  fiber->waiting = nullptr;
  fiber->groups.clear();
  fiber->open.clear();
  fiber->thread = {index, 0, 0};
  fiber->context.prepare(stacks()[index].get(), kStackBytes, fiber_main);
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
    bool progress = false;
    for (unsigned i = 0; i < threads; i++) {
      const unsigned t = reverse_threads ? threads - 1 - i : i;
      Fiber& fiber = b.fibers[t];
      if (fiber.done || (fiber.waiting != nullptr && fiber.waiting->opened == fiber.opened))
        continue;
      fiber.waiting = nullptr;
      progress = true;
      b.current = t;
      position.thread = fiber.thread;
      b.scheduler.switch_to(&fiber.context);
    }
    if (!progress) stop("threads wait at different barriers (deadlock)");
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

void require_aligned(const void* address, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) stop("an access that is not aligned");
}

void copy_async(void* to, const void* from, bool valid) {
  require_aligned(to, 16);
  require_aligned(from, 16);
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
