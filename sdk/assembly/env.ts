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

export declare function proxy_set_property(path: usize, pathSize: i32, value: usize, valueSize: i32): i32

export declare function proxy_get_buffer_status(type: i32, length: usize, flags: usize): i32

export declare function proxy_set_buffer_bytes(type: i32, start: i32, length: i32, data: usize, size: i32): i32

export declare function proxy_continue_stream(stream: i32): i32

export declare function proxy_set_effective_context(id: i32): i32

export declare function proxy_http_call(
  service: usize,
  serviceSize: i32,
  headers: usize,
  headersSize: i32,
  body: usize,
  bodySize: i32,
  trailers: usize,
  trailersSize: i32,
  timeout: i32,
  id: usize,
): i32

export declare function proxy_grpc_call(
  service: usize,
  serviceSize: i32,
  grpcService: usize,
  grpcServiceSize: i32,
  method: usize,
  methodSize: i32,
  metadata: usize,
  metadataSize: i32,
  message: usize,
  messageSize: i32,
  timeout: i32,
  id: usize,
): i32

export declare function proxy_get_status(code: usize, data: usize, size: usize): i32

export declare function proxy_set_tick_period_milliseconds(period: i32): i32

export declare function proxy_register_shared_queue(name: usize, nameSize: i32, id: usize): i32

export declare function proxy_resolve_shared_queue(vm: usize, vmSize: i32, name: usize, nameSize: i32, id: usize): i32

export declare function proxy_enqueue_shared_queue(id: i32, value: usize, valueSize: i32): i32

export declare function proxy_dequeue_shared_queue(id: i32, data: usize, size: usize): i32

export declare function proxy_define_metric(type: i32, name: usize, nameSize: i32, id: usize): i32

export declare function proxy_increment_metric(id: i32, by: i64): i32

export declare function proxy_record_metric(id: i32, value: i64): i32

export declare function proxy_get_metric(id: i32, value: usize): i32

export declare function proxy_call_foreign_function(
  name: usize,
  nameSize: i32,
  argument: usize,
  argumentSize: i32,
  data: usize,
  size: usize,
): i32
