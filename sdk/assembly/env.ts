// The host calls of Proxy-Wasm 0.2.1 that this library uses. The file's name is the module they are imported from, `env`.
// Pointers are addresses in this module's memory; every call answers a Status.

export declare function proxy_log(level: i32, message: usize, messageSize: i32): i32

export declare function proxy_get_log_level(level: usize): i32

export declare function proxy_get_current_time_nanoseconds(time: usize): i32

export declare function proxy_get_buffer_bytes(type: i32, start: i32, maxSize: i32, data: usize, size: usize): i32

export declare function proxy_get_header_map_pairs(map: i32, data: usize, size: usize): i32

export declare function proxy_get_header_map_value(map: i32, key: usize, keySize: i32, data: usize, size: usize): i32

export declare function proxy_add_header_map_value(map: i32, key: usize, keySize: i32, value: usize, valueSize: i32): i32

export declare function proxy_replace_header_map_value(map: i32, key: usize, keySize: i32, value: usize, valueSize: i32): i32

export declare function proxy_remove_header_map_value(map: i32, key: usize, keySize: i32): i32

export declare function proxy_send_local_response(
  status: i32,
  details: usize,
  detailsSize: i32,
  body: usize,
  bodySize: i32,
  headers: usize,
  headersSize: i32,
  grpcStatus: i32,
): i32

export declare function proxy_get_shared_data(key: usize, keySize: i32, data: usize, size: usize, cas: usize): i32

export declare function proxy_set_shared_data(key: usize, keySize: i32, value: usize, valueSize: i32, cas: u32): i32

export declare function proxy_get_property(path: usize, pathSize: i32, data: usize, size: usize): i32
