MODEL (
  name marts.truck_day,
  kind FULL,
  grain (truck_id, day),
  description 'One row per truck and UTC day on which it gave a sample.',
  column_descriptions (
    truck_id = 'the truck',
    day = 'UTC day',
    samples_expected = 'as completeness_day.expected',
    samples_received = 'samples taken on the day',
    distance_km = 'km by odometer where it is valid and neither falls nor leaps, else along the GPS path; the way since the last sample before belongs to the day of the sample that ends it',
    engine_min = 'minutes with engine speed over 0',
    idle_min = 'minutes with the engine on and below 5 km/h',
    fuel_l = 'litres: integral of the fuel rate where it is known for 90 % of the observed time, else null',
    fuel_per_100km = 'litres per 100 km; null under 1 km',
    trips = 'trips begun on the day',
    max_speed_kmh = 'highest speed seen',
    faults_opened = 'faults (spn, fmi, source) of a version that the version before does not have'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, day)),
    forall(criteria := (samples_expected >= samples_received, COALESCE(distance_km, 0) >= 0, idle_min >= 0))
  )
);

WITH trip AS (
  SELECT truck_id, CAST(trip_start AS DATE) AS day, COUNT(*) AS trips
  FROM marts.truck_trip
  GROUP BY truck_id, CAST(trip_start AS DATE)
), fault AS (
  SELECT truck_id, day, COUNT(*) AS faults_opened FROM base.fault_opened GROUP BY truck_id, day
), measured AS (
  SELECT
    sample_day.truck_id, sample_day.day,
    sample_day.samples + COALESCE(hole.missing, 0) AS samples_expected,
    sample_day.samples AS samples_received,
    COALESCE(distance_km, 0.0) AS distance_km,
    COALESCE(engine_s, 0.0) / 60.0 AS engine_min,
    COALESCE(idle_s, 0.0) / 60.0 AS idle_min,
    CASE WHEN fuel_known_s > 0 AND fuel_known_s >= 0.9 * observed_s THEN fuel_l END AS fuel_l,
    COALESCE(trips, 0) AS trips,
    max_speed_kmh,
    COALESCE(faults_opened, 0) AS faults_opened
  FROM base.sample_day AS sample_day
  LEFT JOIN base.hole_day AS hole ON hole.truck_id = sample_day.truck_id AND hole.day = sample_day.day
  LEFT JOIN base.leg_day AS driven ON driven.truck_id = sample_day.truck_id AND driven.day = sample_day.day
  LEFT JOIN trip ON trip.truck_id = sample_day.truck_id AND trip.day = sample_day.day
  LEFT JOIN fault ON fault.truck_id = sample_day.truck_id AND fault.day = sample_day.day
)
SELECT
  truck_id, day, samples_expected, samples_received, distance_km, engine_min, idle_min, fuel_l,
  CASE WHEN distance_km >= 1 THEN fuel_l * 100.0 / distance_km END AS fuel_per_100km,
  trips, max_speed_kmh, faults_opened
FROM measured
