/* hnsw_file.hh - what a file holds of a graph. Of hnsw.cc alone. */
#ifndef CORE_INDEX_HNSW_FILE_HH
#define CORE_INDEX_HNSW_FILE_HH

#include "core/index/hnsw_graph.hh"

namespace graph_parts {

enum { LEVELS_MAX = 32 }; /* the chance of level 8 is one in LINKS^8 */

struct twin_record {
    uint64_t row, at;
};

/* What a file begins with. */
struct head {
    uint64_t nodes, twins, links_bytes; /* of the levels above the lowest */
    uint32_t entry, top_level, point_bytes, links;
};

inline std::vector<uint32_t> upper_links(const small_world &graph) {
    std::vector<uint32_t> links;
    size_t words = graph.size_links_per_element_ / sizeof(uint32_t);
    for (size_t i = 0; i < graph.cur_element_count; i++) {
        for (int level = 1; level <= graph.element_levels_[i]; level++) {
            const uint32_t *list = graph.get_linklist(static_cast<node>(i), level);
            links.insert(links.end(), list, list + words);
        }
    }
    return links;
}

inline bool write_graph(const hnsw &hnsw, hnsw_write_fn *write, void *context) {
    const small_world &graph = hnsw.graph_;
    if (graph.cur_element_count == 0) return false;
    std::vector<uint32_t> links = upper_links(graph);
    std::vector<uint8_t> levels(graph.element_levels_.begin(),
                                graph.element_levels_.begin() +
                                    static_cast<std::ptrdiff_t>(graph.cur_element_count));
    std::vector<twin_record> twins;
    for (const twin &twin : hnsw.twins_) twins.push_back({twin.row, twin.at});
    head head{graph.cur_element_count,
              twins.size(),
              links.size() * sizeof(uint32_t),
              graph.enterpoint_node_,
              static_cast<uint32_t>(graph.maxlevel_),
              static_cast<uint32_t>(graph.data_size_),
              LINKS};
    return write(context, &head, sizeof(head)) &&
           write(context, graph.data_level0_memory_, head.nodes * graph.size_data_per_element_) &&
           write(context, levels.data(), levels.size()) &&
           write(context, links.data(), head.links_bytes) &&
           write(context, twins.data(), twins.size() * sizeof(twin_record));
}

/* A list of links within bounds, to nodes that are on the level. */
inline bool is_sound(const small_world &graph, const hnswlib::linklistsizeint *list, size_t max,
                     int level) {
    /* The number is in the lower half; the upper one holds marks that we do not use. */
    if (list[0] > max) return false;
    for (size_t i = 1; i <= list[0]; i++) {
        if (list[i] >= graph.cur_element_count || graph.element_levels_[list[i]] < level)
            return false;
    }
    return true;
}

inline bool is_sound(const small_world &graph) {
    for (size_t i = 0; i < graph.cur_element_count; i++) {
        node at = static_cast<node>(i);
        if (!is_sound(graph, graph.get_linklist0(at), graph.maxM0_, 0)) return false;
        if (i > 0 && graph.getExternalLabel(at) <= graph.getExternalLabel(at - 1)) return false;
        for (int level = 1; level <= graph.element_levels_[i]; level++) {
            if (!is_sound(graph, graph.get_linklist(at, level), graph.maxM_, level)) return false;
        }
    }
    return true;
}

inline bool read_levels(small_world &graph, const head &head, hnsw_read_fn *read, void *context) {
    std::vector<uint8_t> levels(head.nodes);
    size_t per_level = graph.size_links_per_element_, bytes = 0;
    if (!read(context, levels.data(), levels.size())) return false;
    for (size_t i = 0; i < head.nodes; i++) {
        if (levels[i] > head.top_level) return false;
        bytes += levels[i] * per_level;
    }
    if (bytes != head.links_bytes || levels[head.entry] != head.top_level) return false;
    std::vector<char> links(bytes);
    if (!read(context, links.data(), bytes)) return false;
    const char *from = links.data();
    for (size_t i = 0; i < head.nodes; i++) {
        size_t size = levels[i] * per_level;
        /* hnswlib's destructor frees the lists of nodes that have levels. */
        if (size && !(graph.linkLists_[i] = static_cast<char *>(std::malloc(size + 1))))
            return false;
        if (size) std::memcpy(graph.linkLists_[i], from, size);
        graph.element_levels_[i] = levels[i];
        graph.cur_element_count = i + 1;
        from += size;
    }
    return true;
}

inline bool read_twins(hnsw &hnsw, size_t count, hnsw_read_fn *read, void *context) {
    std::vector<twin_record> records(count);
    if (!read(context, records.data(), count * sizeof(twin_record))) return false;
    for (size_t i = 0; i < count; i++) {
        if (records[i].at >= hnsw.graph_.cur_element_count) return false;
        node at = static_cast<node>(records[i].at);
        uint64_t before = i ? records[i - 1].row : 0;
        if (records[i].row <= hnsw.graph_.getExternalLabel(at) || (i && records[i].row <= before))
            return false;
        add_twin(hnsw, records[i].row, at);
    }
    for (size_t i = 0; i < hnsw.graph_.cur_element_count; i++) {
        node at = static_cast<node>(i);
        hnsw.by_checksum_.emplace(checksum_of(hnsw, hnsw.graph_.getDataByInternalId(at)), at);
    }
    return true;
}

inline std::unique_ptr<hnsw> read_graph(const hnsw_options &options, size_t size,
                                        hnsw_read_fn *read, void *context) {
    head head;
    if (size < sizeof(head) || !read(context, &head, sizeof(head))) return nullptr;
    size_t point_bytes = scan_row_bytes(options.kernel, options.dim) + sizeof(float);
    size_t node_bytes = (2 * LINKS + 1) * sizeof(uint32_t) + point_bytes + sizeof(uint64_t);
    size_t left = size - sizeof(head);
    if (head.point_bytes != point_bytes || head.links != LINKS || head.top_level > LEVELS_MAX ||
        head.nodes == 0 || head.nodes > left / (node_bytes + 1) || head.entry >= head.nodes)
        return nullptr;
    left -= head.nodes * (node_bytes + 1);
    if (head.twins > left / sizeof(twin_record) ||
        left - head.twins * sizeof(twin_record) != head.links_bytes)
        return nullptr;
    auto hnsw = std::make_unique<struct hnsw>(options, head.nodes + head.nodes / 8 + 1024);
    small_world &graph = hnsw->graph_;
    if (graph.size_data_per_element_ != node_bytes ||
        !read(context, graph.data_level0_memory_, head.nodes * node_bytes) ||
        !read_levels(graph, head, read, context))
        return nullptr;
    graph.enterpoint_node_ = head.entry;
    graph.maxlevel_ = static_cast<int>(head.top_level);
    /* Else the levels of new rows would be those of the first ones again. */
    graph.level_generator_.seed(static_cast<unsigned>(head.nodes));
    bool sound = is_sound(graph) && read_twins(*hnsw, head.twins, read, context);
    return sound ? std::move(hnsw) : nullptr;
}

} // namespace graph_parts

#endif
