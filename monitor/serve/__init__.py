"""The HTTP service (`oqm serve`): actions, approvals, quality and traces for applications and people.

`route` says what a route declares, `routes` has the table of them, `app` builds the ASGI application from it, `openapi`
its description. Handlers are plain functions: they get a `Context` and the decoded body, and may block, for they run in
threads. May import `monitor.settings` and below; what the service works with (ledger, trace store, publisher) is passed
in as `Services`.
"""
