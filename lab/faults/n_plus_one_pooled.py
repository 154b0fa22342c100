"""The same page behind a pooler that mixes all clients, and names them in the log."""

from dataclasses import replace

from lab.tiers import all_tiers
from scaledoctor.demo.faults import n_plus_one

FAULT = replace(
    n_plus_one.FAULT,
    name="n-plus-one-pooled",
    story="behind PgBouncer a page of orders asks for the customer of each by itself",
    topology=all_tiers({"default_pool_size": 8, "application_name_add_host": 1}),
)
