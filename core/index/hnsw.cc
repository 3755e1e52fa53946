#include "core/index/hnsw_file.hh"
#include "core/index/hnsw_graph.hh"

namespace {

enum { LINE = 64 };

using scored = std::pair<float, node>;
using nearest_first = std::priority_queue<scored, std::vector<scored>, std::greater<scored>>;
using farthest_first = std::priority_queue<scored>;

std::vector<char> point_of(const hnsw &hnsw, const void *code, float scale) {
    size_t bytes = hnsw.space_.metric_.code_bytes;
    std::vector<char> point(bytes + sizeof(scale));
    std::memcpy(point.data(), code, bytes);
    std::memcpy(point.data() + bytes, &scale, sizeof(scale));
    return point;
}

float distance_to(const hnsw &hnsw, const char *point, node to) {
    return distance(point, hnsw.graph_.getDataByInternalId(to), &hnsw.space_.metric_);
}

/* hnswlib reserves what grows; the marks move along. */
void grow(hnsw &hnsw) {
    size_t capacity = hnsw.graph_.max_elements_ + hnsw.graph_.max_elements_ / 4 + 1024;
    std::vector<std::atomic<bool>> forgotten(capacity);
    for (size_t i = 0; i < hnsw.graph_.cur_element_count; i++)
        forgotten[i] = hnsw.forgotten_[i].load();
    hnsw.graph_.resizeIndex(capacity);
    hnsw.forgotten_.swap(forgotten);
}

/* ---- twins ---- */

bool is_same(const hnsw &hnsw, const char *point, node at) {
    return !std::memcmp(point, hnsw.graph_.getDataByInternalId(at), hnsw.graph_.data_size_);
}

/* Calls visit(twin) for those of a node that are not forgotten, the lowest row first, until
 * it returns false. */
template <typename visitor> void each_twin(const hnsw &hnsw, node at, visitor visit) {
    auto list = hnsw.twins_of_.find(at);
    if (list == hnsw.twins_of_.end()) return;
    for (uint32_t i = list->second.first; i != UINT32_MAX; i = hnsw.twins_[i].next) {
        const twin &twin = hnsw.twins_[i];
        if (!twin.forgotten.load(std::memory_order_acquire) && !visit(twin)) return;
    }
}

bool is_node_forgotten(const hnsw &hnsw, node at) {
    return hnsw.forgotten_[at].load(std::memory_order_acquire);
}

/* No row of it is to be found. */
bool is_dead(const hnsw &hnsw, node at) {
    bool dead = is_node_forgotten(hnsw, at);
    if (dead) {
        each_twin(hnsw, at, [&dead](const twin &) {
            dead = false;
            return false;
        });
    }
    return dead;
}

/* The first of `count` rows in ascending order that is not below. */
template <typename rows> size_t lower_bound(size_t count, uint64_t row, rows row_of) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (row_of(middle) < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where a row is: a node, a twin, or neither, when both are at their ends. */
struct finding {
    size_t node, twin;
};

finding find_row(const hnsw &hnsw, uint64_t row) {
    size_t nodes = hnsw.graph_.cur_element_count, twins = hnsw.twins_.size();
    auto label = [&](size_t i) { return hnsw.graph_.getExternalLabel(static_cast<node>(i)); };
    auto twin_row = [&](size_t i) { return hnsw.twins_[i].row; };
    finding found{lower_bound(nodes, row, label), lower_bound(twins, row, twin_row)};
    if (found.node < nodes && label(found.node) != row) found.node = nodes;
    if (found.twin < twins && twin_row(found.twin) != row) found.twin = twins;
    return found;
}

/* ---- search ---- */

/* One of hnswlib's lists of who has been seen, given back at the end. */
class visits {
  public:
    explicit visits(const hnsw &hnsw) : of_(hnsw) {
        std::lock_guard<std::mutex> lock(of_.visits_lock_);
        list_ = of_.graph_.visited_list_pool_->getFreeVisitedList();
    }
    ~visits() {
        std::lock_guard<std::mutex> lock(of_.visits_lock_);
        of_.graph_.visited_list_pool_->releaseVisitedList(list_);
    }
    visits(const visits &) = delete;
    visits &operator=(const visits &) = delete;
    bool first(node at) {
        if (list_->mass[at] == list_->curV) return false;
        list_->mass[at] = list_->curV;
        return true;
    }

  private:
    const hnsw &of_;
    hnswlib::VisitedList *list_;
};

/* Downhill on the upper levels, whose nodes are few and far apart. */
scored descend(const hnsw &hnsw, const char *point) {
    const small_world &graph = hnsw.graph_;
    scored best(0, graph.enterpoint_node_);
    best.first = distance_to(hnsw, point, best.second);
    for (int level = graph.maxlevel_; level > 0; level--) {
        for (bool changed = true; changed;) {
            changed = false;
            const hnswlib::linklistsizeint *list = graph.get_linklist(best.second, level);
            size_t count = graph.getListCount(const_cast<hnswlib::linklistsizeint *>(list));
            for (size_t i = 1; i <= count; i++) {
                float found = distance_to(hnsw, point, list[i]);
                if (found >= best.first) continue;
                best = scored(found, list[i]);
                changed = true;
            }
        }
    }
    return best;
}

/* The neighbours that have not been seen, on their way to the cache. */
size_t fetch_neighbours(const hnsw &hnsw, visits &seen, node of, node fresh[2 * LINKS]) {
    const hnswlib::linklistsizeint *list = hnsw.graph_.get_linklist0(of);
    size_t count = hnsw.graph_.getListCount(const_cast<hnswlib::linklistsizeint *>(list));
    size_t bytes = hnsw.space_.metric_.code_bytes + sizeof(float), fresh_count = 0;
    for (size_t i = 1; i <= count; i++) {
        if (!seen.first(list[i])) continue;
        const char *data = hnsw.graph_.getDataByInternalId(list[i]);
        for (size_t at = 0; at < bytes; at += LINE) __builtin_prefetch(data + at);
        fresh[fresh_count++] = list[i];
    }
    return fresh_count;
}

/* Always the nearest that is known and has not been asked for its neighbours, until it is
 * farther than the `effort` nearest. Forgotten nodes lead on, but are not kept. */
farthest_first walk(const hnsw &hnsw, const char *point, size_t effort) {
    visits seen(hnsw);
    nearest_first open;
    farthest_first best;
    scored start = descend(hnsw, point);
    seen.first(start.second);
    open.push(start);
    if (!is_dead(hnsw, start.second)) best.push(start);
    while (!open.empty()) {
        scored next = open.top();
        if (best.size() == effort && next.first > best.top().first) break;
        open.pop();
        node fresh[2 * LINKS];
        size_t count = fetch_neighbours(hnsw, seen, next.second, fresh);
        for (size_t i = 0; i < count; i++) {
            scored found(distance_to(hnsw, point, fresh[i]), fresh[i]);
            if (best.size() == effort && found.first >= best.top().first) continue;
            open.push(found);
            if (is_dead(hnsw, found.second)) continue;
            best.push(found);
            if (best.size() > effort) best.pop();
        }
    }
    return best;
}

} // namespace

extern "C" {

enum status hnsw_create(struct hnsw **out, const struct hnsw_options *options, size_t capacity,
                        struct error *err) {
    try {
        *out = new hnsw(*options, capacity ? capacity : 1);
        return STATUS_OK;
    } catch (const std::exception &) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for an index of %zu rows", capacity);
    }
}

void hnsw_destroy(struct hnsw *hnsw) {
    delete hnsw;
}

enum status hnsw_add(struct hnsw *hnsw, uint64_t row, const void *code, float scale,
                     struct error *err) {
    try {
        if (hnsw->graph_.cur_element_count == hnsw->graph_.max_elements_) grow(*hnsw);
        std::vector<char> point = point_of(*hnsw, code, scale);
        node next = static_cast<node>(hnsw->graph_.cur_element_count);
        auto same = hnsw->by_checksum_.emplace(checksum_of(*hnsw, point.data()), next);
        if (!same.second && is_same(*hnsw, point.data(), same.first->second)) {
            add_twin(*hnsw, row, same.first->second);
            return STATUS_OK;
        }
        hnsw->graph_.addPoint(point.data(), row, -1);
        /* It keeps where each label is, of which we have no need: they are in order. */
        hnsw->graph_.label_lookup_.clear();
        return STATUS_OK;
    } catch (const std::exception &exception) {
        return error_set(err, STATUS_NO_MEMORY, "cannot index row %llu: %s",
                         static_cast<unsigned long long>(row), exception.what());
    }
}

size_t hnsw_count(const struct hnsw *hnsw) {
    return hnsw->graph_.cur_element_count + hnsw->twins_.size();
}

size_t hnsw_forgotten(const struct hnsw *hnsw) {
    return hnsw->forgotten_count_;
}

size_t hnsw_bytes(const struct hnsw *hnsw) {
    /* Of a node: what hnswlib reserves beside it, and an entry of a map. */
    const size_t more = sizeof(int) + sizeof(char *) + sizeof(bool) + 48;
    return hnsw->graph_.max_elements_ * (hnsw->graph_.size_data_per_element_ + more) +
           hnsw->twins_.size() * sizeof(twin);
}

uint64_t hnsw_row(const struct hnsw *hnsw, size_t at) {
    size_t nodes = hnsw->graph_.cur_element_count;
    return at < nodes ? hnsw->graph_.getExternalLabel(static_cast<node>(at))
                      : hnsw->twins_[at - nodes].row;
}

uint64_t hnsw_last(const struct hnsw *hnsw) {
    uint64_t last = hnsw_row(hnsw, hnsw->graph_.cur_element_count - 1);
    return hnsw->twins_.empty() ? last : std::max(last, hnsw->twins_.back().row);
}

bool hnsw_holds(const struct hnsw *hnsw, uint64_t row, const void *code, float scale) {
    finding found = find_row(*hnsw, row);
    if (found.twin < hnsw->twins_.size()) found.node = hnsw->twins_[found.twin].at;
    if (found.node == hnsw->graph_.cur_element_count) return false;
    const void *point = hnsw->graph_.getDataByInternalId(static_cast<node>(found.node));
    return scale_of(hnsw->space_.metric_, point) == scale &&
           !std::memcmp(point, code, hnsw->space_.metric_.code_bytes);
}

bool hnsw_forget(struct hnsw *hnsw, uint64_t row) {
    finding found = find_row(*hnsw, row);
    std::atomic<bool> *mark = nullptr;
    if (found.twin < hnsw->twins_.size())
        mark = &hnsw->twins_[found.twin].forgotten;
    else if (found.node < hnsw->graph_.cur_element_count)
        mark = &hnsw->forgotten_[found.node];
    if (!mark || mark->exchange(true)) return false;
    hnsw->forgotten_count_++;
    return true;
}

enum status hnsw_search(const struct hnsw *hnsw, const void *code, float scale, size_t effort,
                        struct hnsw_hit *hits, size_t *count, struct error *err) {
    *count = 0;
    if (hnsw_count(hnsw) == 0) return STATUS_OK;
    try {
        auto best = walk(*hnsw, point_of(*hnsw, code, scale).data(), effort);
        std::vector<scored> nearest;
        for (; !best.empty(); best.pop()) nearest.push_back(best.top());
        /* The nearest first: twins may be more than there is room for. */
        for (size_t i = nearest.size(); i-- > 0;) {
            auto give = [&](uint64_t row) {
                if (*count == effort) return false;
                hits[*count].row = row;
                hits[(*count)++].score = -nearest[i].first;
                return true;
            };
            node at = nearest[i].second;
            if (!is_node_forgotten(*hnsw, at)) give(hnsw_row(hnsw, at));
            each_twin(*hnsw, at, [&](const twin &twin) { return give(twin.row); });
        }
        return STATUS_OK;
    } catch (const std::exception &) {
        *count = 0;
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a search");
    }
}

bool hnsw_write(const struct hnsw *hnsw, hnsw_write_fn *write, void *context) {
    try {
        return write_graph(*hnsw, write, context);
    } catch (const std::exception &) {
        return false;
    }
}

struct hnsw *hnsw_read(const struct hnsw_options *options, size_t size, hnsw_read_fn *read,
                       void *context) {
    try {
        return read_graph(*options, size, read, context).release();
    } catch (const std::exception &) {
        return nullptr;
    }
}

} // extern "C"
