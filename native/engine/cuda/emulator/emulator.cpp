// Fibers, barriers and exchanges of the emulator.
#include "emulator.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

// This file itself is built without ThreadSanitizer: its own memory is no matter of the kernels.
#if defined(MASKSEARCH_EMULATOR_RACES)
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_read16(void* address);
extern "C" void __tsan_write16(void* address);
#endif

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
Order order;

namespace {

constexpr size_t kStackBytes = 128 * 1024;
constexpr unsigned kWarp = 32;
constexpr size_t kLargestShared = 99 * 1024;  // of sm_89, the least of those that are compiled for
constexpr unsigned kLargestBlock = 1024;

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

void arrive(const Copy& copy) {
  if (copy.valid) {
    std::memcpy(copy.to, copy.from, 16);
  } else {
    std::memset(copy.to, 0, 16);
  }
}

// Threads that have arrived at a barrier, and how often it has opened.
struct Barrier {
  unsigned arrived = 0;
  unsigned opened = 0;
};

// What the race detector is told. Each fiber is a thread to it, and a switch orders nothing: only what
// is published in one place and received there.
#if defined(MASKSEARCH_EMULATOR_RACES)
struct Observed {
  void* thread = nullptr;

  void create() { thread = __tsan_create_fiber(0); }
  void current() { thread = __tsan_get_current_fiber(); }
  void switch_to() const { __tsan_switch_to_fiber(thread, __tsan_switch_to_fiber_no_sync); }
};
void publish(void* where) { __tsan_release(where); }
void receive(void* where) { __tsan_acquire(where); }
void observe_copy(void* to, const void* from) {
  if (from != nullptr) __tsan_read16(const_cast<void*>(from));
  __tsan_write16(to);
}
#else
struct Observed {
  void create() {}
  void current() {}
  void switch_to() const {}
};
void publish(void*) {}
void receive(void*) {}
void observe_copy(void*, const void*) {}
#endif

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
  unsigned char published[2];  // as Block's
  alignas(64) unsigned char memory[kWarp * kLaneBytes];
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Barrier barrier;
  // Addresses under which a barrier's threads publish what they have written, in turn, as some come
  // to the next before others have left the last.
  unsigned char published[2];
  unsigned char begun, ended;  // addresses for what was written before the block and in it
  unsigned alive = 0;
  std::vector<unsigned char> shared;
  const std::function<void()>* body = nullptr;
  Context scheduler;
  Observed observed_scheduler;
  std::vector<unsigned> threads;  // in the order in which they run next
  unsigned current = 0;
};

Block* block = nullptr;

[[noreturn]] void stop(const char* problem) {
  std::fprintf(stderr, "emulator: %s in block (%u, %u, %u), thread %u\n", problem,
               position.block.x, position.block.y, position.block.z, position.thread.x);
  std::abort();
}

// What fibers keep from block to block.
struct Stack {
  std::unique_ptr<unsigned char[]> memory = std::make_unique<unsigned char[]>(kStackBytes);
  Observed observed;
};
std::vector<Stack>& stacks() {
  static std::vector<Stack> all;
  return all;
}

std::mt19937& shuffler() {
  static std::mt19937 only;
  return only;
}

// The next order of `all`, which holds 0, 1, … in some order.
void reorder(std::vector<unsigned>* all) {
  if (order.kind == Order::shuffled) {
    std::shuffle(all->begin(), all->end(), shuffler());
    return;
  }
  std::iota(all->begin(), all->end(), 0u);
  if (order.kind == Order::reversed) std::reverse(all->begin(), all->end());
}

void leave(Fiber* fiber) {
  block->observed_scheduler.switch_to();
  fiber->context.switch_to(&block->scheduler);
}

void fiber_main() {
  receive(&block->begun);
  (*block->body)();
  publish(&block->ended);
  Fiber& me = block->fibers[block->current];
  me.done = true;
  block->alive--;
  leave(&me);
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
  leave(&me);
}

// Meets, and passes what was written before on to all that meet.
void meet_in_order(Barrier* barrier, unsigned char (&published)[2], unsigned expected) {
  unsigned char* where = published + barrier->opened % 2;
  publish(where);
  meet(barrier, expected);
  receive(where);
}

Warp& warp_of_current() { return block->warps[block->current / kWarp]; }

void start(Fiber* fiber, unsigned index) {
  fiber->done = false;
  fiber->waiting = nullptr;
  fiber->groups.clear();
  fiber->open.clear();
  fiber->thread = {index, 0, 0};
  fiber->context.prepare(stacks()[index].memory.get(), kStackBytes, fiber_main);
}

void run_block() {
  Block& b = *block;
  const unsigned threads = unsigned(b.fibers.size());
  std::memset(b.shared.data(), 0xff, b.shared.size());
  b.barrier = {};
  for (Warp& warp : b.warps) warp.barrier = {};
  b.alive = threads;
  for (unsigned t = 0; t < threads; t++) start(&b.fibers[t], t);
  publish(&b.begun);
  while (b.alive > 0) {
    bool progress = false;
    reorder(&b.threads);
    for (const unsigned t : b.threads) {
      Fiber& fiber = b.fibers[t];
      if (fiber.done || (fiber.waiting != nullptr && fiber.waiting->opened == fiber.opened))
        continue;
      fiber.waiting = nullptr;
      progress = true;
      b.current = t;
      position.thread = fiber.thread;
      stacks()[t].observed.switch_to();
      b.scheduler.switch_to(&fiber.context);
    }
    if (!progress) stop("threads wait at different barriers (deadlock)");
  }
  receive(&b.ended);
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
  mine.threads.resize(block_size.x);
  mine.observed_scheduler.current();
  std::iota(mine.threads.begin(), mine.threads.end(), 0u);
  while (stacks().size() < block_size.x) {
    stacks().emplace_back();
    stacks().back().observed.create();
  }
  shuffler().seed(order.seed);
  std::vector<unsigned> blocks(size_t(grid.x) * grid.y * grid.z);
  std::iota(blocks.begin(), blocks.end(), 0u);
  reorder(&blocks);
  block = &mine;
  position.block_size = block_size;
  position.grid_size = grid;
  for (const unsigned b : blocks) {
    position.block = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
    run_block();
  }
  block = nullptr;
}

void block_barrier() { meet_in_order(&block->barrier, block->published, block->alive); }

void warp_barrier() {
  Warp& warp = warp_of_current();
  meet_in_order(&warp.barrier, warp.published, kWarp);
}

unsigned lane() { return block->current % kWarp; }

void hand_in(const void* value, size_t bytes) {
  Warp& warp = warp_of_current();
  // Words, as a call of memcpy would be seen by the race detector.
  const auto* from = static_cast<const volatile uint64_t*>(value);
  auto* to = reinterpret_cast<uint64_t*>(warp.memory + lane() * kLaneBytes);
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) to[i] = from[i];
  meet(&warp.barrier, kWarp);
}

const void* handed_in(unsigned lane) { return warp_of_current().memory + lane * kLaneBytes; }

void hand_back() { meet(&warp_of_current().barrier, kWarp); }

uint64_t exchange(uint64_t value, unsigned from_lane) {
  hand_in(&value, sizeof value);
  const uint64_t other = *static_cast<const uint64_t*>(handed_in(from_lane));
  hand_back();
  return other;
}

unsigned char* dynamic_shared() {
  const uintptr_t start = reinterpret_cast<uintptr_t>(block->shared.data());
  return reinterpret_cast<unsigned char*>((start + 1023) / 1024 * 1024);
}

void require_aligned(const void* address, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) stop("an access that is not aligned");
}

// A copy may arrive at any time up to the wait: in the forward order it does so as late as it can, in
// the reversed one at once, in a shuffled one either way. Its memory is written to all that time.
void copy_async(void* to, const void* from, bool valid) {
  require_aligned(to, 16);
  require_aligned(from, 16);
  const Copy copy = {to, from, valid};
  observe_copy(copy.to, copy.valid ? copy.from : nullptr);
  if (order.kind == Order::reversed || (order.kind == Order::shuffled && shuffler()() % 2 == 0)) {
    arrive(copy);
  } else {
    block->fibers[block->current].open.push_back(copy);
  }
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
      observe_copy(copy.to, copy.valid ? copy.from : nullptr);
      arrive(copy);
    }
    me.groups.erase(me.groups.begin());
  }
}

}  // namespace emulator
