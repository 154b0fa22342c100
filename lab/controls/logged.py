"""All statements are logged, and the log has nothing in it but ordinary pages."""

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults.healthy import inject
from scaledoctor.demo.faults.n_plus_one import LOGGED

FAULT = Fault(
    name="logged",
    story="the shop logs every statement, and no page repeats one",
    inject=inject,
    settings=LOGGED,
)
