"""Actions of applications that cost something when they are wrong, as rules without I/O: pure.

`states` holds the records and states, `audit` the hash chain of the log of changes. An action is named by (scope, key):
the key names the business object and the occasion ("refund:order-4711"), never the generated text. `states` and `names`
need msgspec only, so the publishing client can import them without the extra `monitor`.

May import `monitor.errors`.
"""
