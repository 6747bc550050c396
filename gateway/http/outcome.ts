// What became of an order that the admin API was given.

export interface Outcome {
  /** The HTTP status it is answered with. */
  readonly status: 200 | 404 | 409 | 422 | 503
  /** A sentence that says it. */
  readonly message: string
}
