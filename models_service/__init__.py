"""Where completions and scores come from: the client every part uses, the embedded model server, and publishing.

`python -m models_service --help` starts the server and makes the demo's base model. `models_service.client` and
`models_service.publishing` need httpx alone; torch is imported only by the server and the generator.
"""
