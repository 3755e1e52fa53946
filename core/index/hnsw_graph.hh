/* hnsw_graph.hh - what a graph is made of: hnswlib as we use it, and what is kept beside it.
 * Of hnsw.cc alone: hnswlib defines functions that a program can hold only once. */
#ifndef CORE_INDEX_HNSW_GRAPH_HH
#define CORE_INDEX_HNSW_GRAPH_HH

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <queue>
#include <stdexcept>
#include <utility>
#include <vector>

/* Its prefetches read a word behind a full list of links, within what malloc rounds up to,
 * which the address sanitizer cannot know. */
#if defined(__SANITIZE_ADDRESS__)
#define NO_MANUAL_VECTORIZATION
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_MANUAL_VECTORIZATION
#endif
#endif
/* All that hnswlib includes, before it is put into a namespace; some of it it forgets. */
#ifdef __SSE__
#include <cpuid.h>
#include <x86intrin.h>
#endif
#include <cassert>
#include <fstream>
#include <iostream>
#include <list>
#include <mutex>
#include <random>
#include <unordered_map>
#include <unordered_set>

/* hnswlib locks every list of links that an insertion looks at, because others may insert.
 * Here one thread does, alone: its locks do nothing, which saves time and 40 bytes a row,
 * and thread sanitizers the order in which it takes them. */
namespace alone {
namespace std {
using namespace ::std;
struct mutex {
    void lock() {}
    void unlock() {}
};
} // namespace std
#include <hnswlib/hnswlib.h>
} // namespace alone
namespace hnswlib = alone::hnswlib;

extern "C" {
#include "core/base/checksum.h"
#include "core/index/hnsw.h"
}

namespace graph_parts {

enum {
    LINKS = 16,       /* per node and level; twice as many on the lowest. What its authors advise */
    EFFORT_ADD = 100, /* candidates for the links of a new row */
};

/* A point is a code with its scale behind it. */
struct metric {
    const scan_kernel *kernel;
    size_t dim, code_bytes;
};

inline float scale_of(const metric &metric, const void *point) {
    float scale;
    std::memcpy(&scale, static_cast<const char *>(point) + metric.code_bytes, sizeof(scale));
    return scale;
}

inline float distance(const void *a, const void *b, const void *param) {
    const auto &of = *static_cast<const metric *>(param);
    return -scan_pair(of.kernel, a, b, of.dim) * (scale_of(of, a) * scale_of(of, b));
}

class space : public hnswlib::SpaceInterface<float> {
  public:
    explicit space(const hnsw_options &options)
        : metric_{options.kernel, options.dim, scan_row_bytes(options.kernel, options.dim)} {}
    size_t get_data_size() override {
        return metric_.code_bytes + sizeof(float);
    }
    hnswlib::DISTFUNC<float> get_dist_func() override {
        return distance;
    }
    void *get_dist_func_param() override {
        return &metric_;
    }
    metric metric_;
};

using small_world = hnswlib::HierarchicalNSW<float>;
using node = hnswlib::tableint;

/* A row whose code is that of a node. */
struct twin {
    twin(uint64_t of_row, node of) : row(of_row), at(of) {}
    uint64_t row;
    node at;
    uint32_t next = UINT32_MAX; /* of the same node; UINT32_MAX: none */
    std::atomic<bool> forgotten{false};
};

struct twin_list {
    uint32_t first, last;
};

} // namespace graph_parts

using namespace graph_parts;

struct hnsw {
    hnsw(const hnsw_options &options, size_t capacity)
        : space_(options), graph_(&space_, capacity, LINKS, EFFORT_ADD), forgotten_(capacity) {}
    space space_;
    small_world graph_;
    mutable std::mutex visits_lock_; /* protects graph_.visited_list_pool_ while some search */
    std::vector<std::atomic<bool>> forgotten_;       /* [capacity], of nodes */
    std::atomic<size_t> forgotten_count_{0};         /* of rows */
    std::unordered_map<uint64_t, node> by_checksum_; /* of points */
    std::deque<twin> twins_;                         /* by their rows */
    std::unordered_map<node, twin_list> twins_of_;   /* of nodes that have some */
};

namespace graph_parts {

inline uint64_t checksum_of(const hnsw &hnsw, const char *point) {
    bytes data = {reinterpret_cast<const uint8_t *>(point), hnsw.graph_.data_size_};
    return checksum(data);
}

inline void add_twin(hnsw &hnsw, uint64_t row, node at) {
    uint32_t index = static_cast<uint32_t>(hnsw.twins_.size());
    hnsw.twins_.emplace_back(row, at);
    auto list = hnsw.twins_of_.emplace(at, twin_list{index, index});
    if (!list.second) {
        hnsw.twins_[list.first->second.last].next = index;
        list.first->second.last = index;
    }
}

} // namespace graph_parts

#endif
