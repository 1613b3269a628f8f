from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "riskshare",
    deadline=None,
    print_blob=True,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
settings.register_profile(
    "unshrunk", settings.get_profile("riskshare"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("riskshare")
